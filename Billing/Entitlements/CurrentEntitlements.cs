using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Subscriptions;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Entitlements;

/// <summary>What was used of a limit on usage in the billing period that runs.</summary>
public sealed record LimitedUsage(GrantedLimit Limit, BillingPeriod Period, decimal Used)
{
    public bool IsReached => Used >= Limit.Max;

    public decimal Remaining => Math.Max(0, Limit.Max - Used);
}

/// <summary>What a tenant's running subscriptions let it use at an instant, and how much of that it has used.</summary>
/// <param name="Usage">One for each limit on usage, in the order of the grants.</param>
/// <param name="Turns">When grants are to change by themselves next: periods of watched limits end, quantities change.</param>
public sealed record CurrentEntitlements(Grants Grants, IReadOnlyList<LimitedUsage> Usage, IReadOnlyList<Instant> Turns)
{
    private sealed record Running(SubscriptionView Subscription, Grants Stated, Grants Grants);

    /// <summary>Read from roll-ups, so that it costs the same however much was used.</summary>
    /// <param name="connection">It sees the tenant's rows.</param>
    public static async Task<CurrentEntitlements> Read(
        NpgsqlConnection connection, TenantId tenant, Documents documents, Instant at, CancellationToken cancellation)
    {
        // 1 what each subscription grants, the oldest first
        var running = new List<Running>();
        foreach (var subscription in (await SubscriptionView.All(connection, tenant, cancellation))
            .Where(it => it.EndedAt is null).OrderBy(it => it.StartedAt).ThenBy(it => it.SubscriptionId.Value))
        {
            // Versions of plans never change, so they need not be read in the transaction.
            if (await PlanView.Find(documents, subscription.PlanId, cancellation) is { } plan
                && plan.EntitlementsOf(subscription.PlanVersion) is { } stated)
            {
                running.Add(new(subscription, stated, stated.Times(subscription.QuantityAt(at))));
            }
        }

        // 2 what was used of limits on usage, in the period of the oldest subscription that states them
        var grants = Grants.Together([.. running.Select(it => it.Grants)]);
        var usage = new List<LimitedUsage>();
        foreach (var limit in grants.Limits.Where(limit => limit.IsUsage))
        {
            var owner = running.First(it => it.Grants.Limits.Any(own => (own.Limit, own.Meter, own.Mode) == (limit.Limit, limit.Meter, limit.Mode)));
            var period = PeriodAt(owner.Subscription, at);
            usage.Add(new(limit, period, await Used(connection, tenant, documents, limit, period, cancellation)));
        }

        // 3 which of them are used up
        var reached = usage.Where(it => it.Limit.IsWatched && it.IsReached).Select(it => it.Limit).ToHashSet();
        grants = grants with { Limits = [.. grants.Limits.Select(limit => limit with { Reached = reached.Contains(limit) })] };
        Instant[] turns =
        [
            .. usage.Where(it => it.Limit.IsWatched).Select(it => it.Period.End),
            .. running.Where(it => it.Stated.Limits.Any(limit => limit.PerUnit))
                .SelectMany(it => it.Subscription.Fee.Steps.Select(step => step.From)),
        ];
        return new(grants, usage, [.. turns.Where(turn => turn > at).Distinct().Order()]);
    }

    /// <summary>
    /// The billing period in which a limit counts: the plan's by the calendar, also where a part of it is invoiced early or its close is
    /// still to come; it begins with the subscription, or where its trial ended. A trial is one period.
    /// </summary>
    public static BillingPeriod PeriodAt(SubscriptionView subscription, Instant at)
    {
        var (now, plan) = (Instant.Max(at, subscription.StartedAt), subscription.Plans[^1]);
        if (plan.Trial && now < subscription.TrialEnd)
            return new(subscription.StartedAt, subscription.TrialEnd.Value);

        var calendar = BillingPeriods.Containing(now, plan.Cycle, DateTimeZoneProviders.Tzdb[subscription.TimeZone]);
        var begun = subscription.TrialEnd is { } paidFrom && paidFrom <= now ? paidFrom : subscription.StartedAt;
        return new(Instant.Max(calendar.Start, begun), calendar.End);
    }

    private static async Task<decimal> Used(
        NpgsqlConnection connection, TenantId tenant, Documents documents, GrantedLimit limit, BillingPeriod period,
        CancellationToken cancellation)
    {
        var meter = (await MeterView.OfKeys(documents, [limit.Meter!], cancellation)).Single();
        var version = limit.MeterVersion!.Value;
        return Decimals.Canonical(await Measurement.Total(
            connection,
            new(tenant, meter.DefinitionOf(version)!, [period.Start, period.End]) { Version = new(meter.MeterId, version) },
            cancellation));
    }
}
