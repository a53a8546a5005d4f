using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.TestClocks;

/// <summary>
/// Takes a sandbox through time: from one moment at which something is due to the next. At each the clock is set first and the work is done
/// then, so whoever comes after a crash finds either work that is due at the clock's time or none, and goes on from there.
/// </summary>
public sealed class PassTime(EventStore.EventStore store, BillingDatabase database, IEnumerable<IDueWork> works)
{
    /// <param name="Clock">What time it is now.</param>
    /// <param name="Done">Every step that was due on the way, in order.</param>
    public sealed record Passed(TenantId TenantId, Instant Clock, IReadOnlyList<WorkDone> Done);

    /// <param name="At">What time it was.</param>
    /// <param name="Work">For example <c>close_period</c>.</param>
    /// <param name="Count">How much came of it: invoices made, payments tried; zero where the step found nothing to charge.</param>
    public sealed record WorkDone(Instant At, string Work, int Count);

    public async Task<(Passed? Passed, Refusal? Refusal)> To(
        TenantId tenant, Instant to, Cause cause, CancellationToken cancellation)
    {
        // 1 let nobody else move this clock: what one does at a moment would else be decided at the other's later one
        await using var hold = await database.TryHold($"test_clock/{tenant}", cancellation);
        if (hold is null)
            return (null, Refusal.Because("test_clock.advancing", "The clock is being advanced; try again when that is done."));
        var known = await store.Load<Tenant, TenantEvent>(Tenant.Stream(tenant), cancellation);
        if (AdvanceClock.Decide(to, known.State).Refusal is { } refusal)
            return (null, refusal);

        // 2 go from moment to moment, and do what is due
        var (now, done) = (known.State.Clock!.Value, new List<WorkDone>());
        while (await NextDue(tenant, to, cancellation) is { } moment)
        {
            now = await Set(tenant, Instant.Max(moment, now), cause, cancellation);
            foreach (var work in works)
            {
                if (await work.NextDue(tenant, now, cancellation) is null)
                    continue;
                done.Add(new(now, work.Name, await work.Do(tenant, now, cause, cancellation)));
                if (await work.NextDue(tenant, now, cancellation) is { } left)
                    throw new InvalidOperationException($"{work.Name} of {tenant} left undone what was due at {left}.");
            }
        }

        // 3 pass the rest of the time, in which nothing is due
        return (new(tenant, await Set(tenant, to, cause, cancellation), done), null);
    }

    /// <summary>The earliest moment at which anything is due.</summary>
    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation)
    {
        Instant? earliest = null;
        foreach (var work in works)
            earliest = await work.NextDue(tenant, earliest ?? upTo, cancellation) ?? earliest;
        return earliest;
    }

    private async Task<Instant> Set(TenantId tenant, Instant to, Cause cause, CancellationToken cancellation)
    {
        var decided = await store.Decide<Tenant, TenantEvent>(
            Tenant.Stream(tenant), state => AdvanceClock.Decide(to, state), cause, cancellation);
        return decided.State.Clock!.Value;
    }
}
