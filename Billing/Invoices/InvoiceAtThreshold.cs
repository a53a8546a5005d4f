using NodaTime;
using Npgsql;
using Platform.Billing.Rating;
using Platform.Billing.Recurring;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>
/// Invoices a running period up to now when use since its last invoice comes to the threshold of its plan. What is invoiced is a slice, as
/// where somebody closes the period early: tiers, free units and commitments go on, and the fee is prorated. Live tenants are looked at
/// once an hour; a sandbox's clock stops at the full hour by which the threshold was reached.
/// </summary>
public sealed class InvoiceAtThreshold(
    EventStore.EventStore store, BillingDatabase database, BilledPlans plans, InvoicePeriod invoices) : IDueWork
{
    private const string Thresholds =
        """
        from billing.plans plan
        cross join jsonb_array_elements(plan.data -> 'versions') each (published)
        join billing.subscriptions subscription
          on subscription.data ->> 'plan_id' = plan.data ->> 'plan_id' and subscription.data -> 'plan_version' = published -> 'version'
        where jsonb_path_exists(plan.data, '$.versions[*].invoice_threshold') and published ? 'invoice_threshold'
          and subscription.data ->> 'ended_at' is null
        """;

    private static readonly Duration Interval = Duration.FromHours(1);

    public string Name => "invoice_at_threshold";

    /// <summary>Use on time and reported late counts; fees do not, because nobody needs to be warned of them.</summary>
    public static bool IsReached(Money threshold, IEnumerable<RatedLine> lines) => lines
        .Where(line => line.Kind is LineKind.Usage or LineKind.LateUsage)
        .Aggregate(Money.Zero(threshold.Currency), (sum, line) => sum + line.Amount) >= threshold;

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            with thresholds as (select distinct subscription.tenant_id {Thresholds}),
            due as (
                select coalesce(next_at, to_timestamp(0)) as at, tenant_id
                from thresholds left join billing.threshold_looks using (tenant_id)
                where {TenantView.IsLive})
            select at, tenant_id from due where at <= $1 and ($2 is null or (at, tenant_id) > ($2, $3)) order by at, tenant_id limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation)
    {
        Instant? next = null;
        foreach (var id in await WithThreshold(tenant, cancellation))
            next = await FirstReached(tenant, id, next ?? upTo, cancellation) ?? next;
        return next;
    }

    /// <returns>How many invoices it made.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var made = 0;
        foreach (var id in await WithThreshold(tenant, cancellation))
        {
            if (await FindRunning(tenant, id, cancellation) is { } running && await IsReached(tenant, running, asOf, cancellation)
                && await invoices.CloseAtThreshold(tenant, id, asOf, running.Threshold, cause, cancellation))
            {
                made++;
            }
        }

        await store.Transact(
            tenant.Value,
            cause,
            async (transaction, token) =>
            {
                await using var command = transaction.Connection.Command(
                    """
                    insert into billing.threshold_looks (tenant_id, next_at) values ($1, $2)
                    on conflict (tenant_id) do update set next_at = greatest(threshold_looks.next_at, excluded.next_at)
                    """,
                    Sql.P(tenant.Value), Sql.P(asOf + Interval));
                return await command.ExecuteNonQueryAsync(token);
            },
            cancellation);
        return made;
    }

    private Task<IReadOnlyList<SubscriptionId>> WithThreshold(TenantId tenant, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"select subscription.id {Thresholds} and subscription.tenant_id = $1 order by subscription.id",
            row => new SubscriptionId(row.GetGuid(0)), cancellation, Sql.P(tenant.Value));

    // Use only grows with time, so the first full hour by which it was enough is found by halves.
    private async Task<Instant?> FirstReached(TenantId tenant, SubscriptionId id, Instant upTo, CancellationToken cancellation)
    {
        if (await FindRunning(tenant, id, cancellation) is not { } running)
            return null;

        var start = Instant.FromUnixTimeSeconds(running.Subscription.PeriodStart.ToUnixTimeSeconds() / 3600 * 3600);
        var end = Instant.Min(upTo, running.Subscription.PeriodEnd - Duration.Epsilon);
        var (below, reached) = (0, (int)((end - start).BclCompatibleTicks / NodaConstants.TicksPerHour));
        if (reached < 1 || !await IsReached(tenant, running, start + Interval * reached, cancellation))
            return null;

        while (reached - below > 1)
        {
            var middle = below + (reached - below) / 2;
            if (await IsReached(tenant, running, start + Interval * middle, cancellation))
                reached = middle;
            else
                below = middle;
        }

        return start + Interval * reached;
    }

    private async Task<Running?> FindRunning(TenantId tenant, SubscriptionId id, CancellationToken cancellation)
    {
        var (subscription, _) = await store.Load<Subscription, SubscriptionEvent>(Subscription.Stream(tenant, id), cancellation);
        if (subscription.EndedAt is not null)
            return null;
        var billed = await plans.Of(tenant, subscription, cancellation);
        return billed[^1].Terms.InvoiceThreshold is { } threshold ? new(id, subscription, billed, threshold) : null;
    }

    // From roll-ups (prices of single events: from the ledger), beside all writers: only where it looks reached does the close look again,
    // alone.
    private Task<bool> IsReached(TenantId tenant, Running running, Instant at, CancellationToken cancellation) =>
        running.Subscription.PeriodStart < at && at < running.Subscription.PeriodEnd
            ? database.Read(tenant, connection => IsReached(connection, tenant, running, at, cancellation), cancellation)
            : Task.FromResult(false);

    private static async Task<bool> IsReached(
        NpgsqlConnection connection, TenantId tenant, Running running, Instant at, CancellationToken cancellation)
    {
        var through = await PeriodUsage.NewestPosition(connection, tenant, cancellation);
        var slice = new BillingPeriod(running.Subscription.PeriodStart, at);
        var billed = new BilledSubscription(tenant, running.Id, running.Subscription, running.Plans, slice, slice, through);
        var together = new RoundTrip(connection);
        billed.Ask(together);
        await together.Send(cancellation);
        return IsReached(running.Threshold, await billed.Rate(together, cancellation));
    }

    private sealed record Running(SubscriptionId Id, Subscription Subscription, IReadOnlyList<BilledPlan> Plans, Money Threshold);
}
