using NodaTime;

namespace Platform.Contracts.Messages;

/// <summary>What happens beyond a limit.</summary>
public enum LimitMode
{
    /// <summary>What would go beyond it is refused.</summary>
    Hard,

    /// <summary>It is let through, and said.</summary>
    Soft,
}

/// <summary>How much of something a tenant may have.</summary>
/// <param name="Limit">
/// <c>jobs.concurrent</c>: jobs that have not ended; <c>jobs.queued</c>: jobs that wait for a device; <c>gpu.milli</c>: thousandths of
/// devices that jobs which have not ended ask for.
/// </param>
/// <param name="Max">The most that is within the limit.</param>
public sealed record EntitledLimit(string Limit, decimal Max, LimitMode Mode);

/// <summary>
/// Published by Billing with the change of a subscription that brought it about: all that the tenant's running subscriptions grant. It
/// replaces what was said before. Tenants that nothing was said of, and limits that are not named, have no bounds.
/// </summary>
/// <param name="Version">Grows with every change of the tenant's: of two messages the higher one holds, whichever comes last.</param>
/// <param name="Features">
/// Names, among them <c>pool.reserved</c> and <c>gpu.nvidia-h200</c>: where any pool is named, jobs run in the named ones alone, and
/// likewise with flavors of devices.
/// </param>
/// <param name="Limits">At most one per limit and mode.</param>
public sealed record EntitlementsChanged(
    TenantId TenantId, long Version, IReadOnlyList<string> Features, IReadOnlyList<EntitledLimit> Limits, Instant At);
