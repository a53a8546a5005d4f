using System.Collections.Concurrent;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tenants;

/// <summary>
/// What time it is for a tenant: the real time, or for a sandbox the time that its clock was set to. Whatever is decided for a tenant is
/// decided by this clock.
/// </summary>
public sealed class TenantClock(Documents documents, TimeProvider clock)
{
    // That a tenant is live never changes, so asking costs nothing from the second time on. A sandbox's time is read each time.
    private readonly ConcurrentDictionary<TenantId, bool> live = new();

    /// <returns>Cut to microseconds. The real time also for a tenant that does not exist.</returns>
    public ValueTask<Instant> Now(TenantId tenant, CancellationToken cancellation) =>
        live.ContainsKey(tenant) ? new(clock.Now()) : Find(tenant, cancellation);

    private async ValueTask<Instant> Find(TenantId tenant, CancellationToken cancellation)
    {
        var known = await TenantView.Find(documents, tenant, cancellation);
        if (known?.Clock is { } sandboxTime)
            return sandboxTime;

        if (known is not null)
            live.TryAdd(tenant, true);
        return clock.Now();
    }
}
