using System.Text.Json.Serialization;
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
/// devices that jobs which have not ended ask for; <c>usage</c>: what a meter measures in a billing period.
/// </param>
/// <param name="Max">The most that is within the limit.</param>
/// <param name="Meter">With <c>usage</c> alone: the key of the meter.</param>
/// <param name="Reached">
/// With <c>usage</c> in hard mode alone: nothing of it is left in the billing period that runs. Whoever enforces limits cannot know that by
/// itself; the message comes again when it is so and when it no longer is.
/// </param>
public sealed record EntitledLimit(
    string Limit, decimal Max, LimitMode Mode,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Meter = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Reached = false);

/// <summary>
/// Published by Billing with what brought it about, a change of a subscription or use that came to a limit: all that the tenant's running
/// subscriptions grant. It replaces what was said before. Tenants that nothing was said of, and limits that are not named, have no bounds.
/// </summary>
/// <param name="Version">Grows with every change of the tenant's: of two messages the higher one holds, whichever comes last.</param>
/// <param name="Features">
/// Names, among them <c>pool.reserved</c> and <c>gpu.nvidia-h200</c>: where any pool is named, jobs run in the named ones alone, and
/// likewise with flavors of devices.
/// </param>
/// <param name="Limits">At most one per limit, meter and mode.</param>
public sealed record EntitlementsChanged(
    TenantId TenantId, long Version, IReadOnlyList<string> Features, IReadOnlyList<EntitledLimit> Limits, Instant At);
