using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Recurring;

/// <summary>A tenant for which something is due since a moment.</summary>
public sealed record DueTenant(Instant At, TenantId TenantId);

/// <summary>
/// What has to be done for a tenant because time has passed: a period ends, a grace runs out, a payment is to be tried again. A live tenant's
/// time passes by itself, and the recurring run does it (<see cref="RunDueWork"/>); a sandbox's passes where somebody advances its clock.
/// </summary>
public interface IDueWork
{
    /// <summary>How logs and answers name it, for example <c>close_period</c>.</summary>
    string Name { get; }

    /// <summary>
    /// A page of the live tenants for which something is due at or before <paramref name="asOf"/>, in the order of moment and tenant. A
    /// tenant may be listed once for each moment. Read in the system role.
    /// </summary>
    /// <param name="after">The last of the page before; null for the first page.</param>
    Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation);

    /// <summary>The earliest moment, up to and including <paramref name="upTo"/>, at which something is due; null where there is none.</summary>
    Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation);

    /// <summary>
    /// Does what is due at or before <paramref name="asOf"/> and not done yet; afterwards nothing is due up to then. Any number of
    /// runners may do it at once and again, and it is done once.
    /// </summary>
    /// <returns>How much it did, in things that count for people: invoices made, payments tried.</returns>
    Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation);

    /// <summary>Which tenants are best done together: each by itself, where nothing else is said.</summary>
    IEnumerable<IReadOnlyList<TenantId>> Groups(IEnumerable<TenantId> tenants) => tenants.Select(tenant => new[] { tenant });

    /// <summary>The same for all tenants of a group. Where it fails it is done for none of them or for some, and can be done for each.</summary>
    async Task<int> Do(IReadOnlyList<TenantId> group, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var done = 0;
        foreach (var tenant in group)
            done += await Do(tenant, asOf, cause, cancellation);
        return done;
    }
}
