using System.Collections.Concurrent;
using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>One plan of a subscription and what it bills in the time in which it ran.</summary>
public sealed record BilledPlan(PlanSpan Span, PlanTerms Terms, IReadOnlyList<BilledMeter> Meters, ProductId? ProductId)
{
    /// <summary>The event types that the plan's charges read, in the time in which it ran.</summary>
    /// <param name="after">The ledger position of the subscription's close before.</param>
    public IEnumerable<BilledType> Types(BillingPeriod used, long after) => Meters.Select(meter => meter.Definition.EventType).Distinct()
        .Select(type => new BilledType(type, Ran(used).Start, Ran(used).End, used, after));

    /// <summary>When it ran, up to the end of what is invoiced.</summary>
    public BillingPeriod Ran(BillingPeriod used) => new(Span.Start, Span.End ?? used.End);
}

/// <summary>
/// What is owed for a period of a subscription, and for usage that came late in the time of any of its plans, in two steps, so that several
/// share round trips: <see cref="Ask"/>, and <see cref="Rate"/> once that is sent.
/// </summary>
/// <param name="plans">All that it was on, oldest first.</param>
/// <param name="period">The period to close.</param>
/// <param name="used">Its use on time; without length once the subscription has ended.</param>
/// <param name="through">The newest ledger position to consider.</param>
public sealed class BilledSubscription(
    TenantId tenant, SubscriptionId id, Subscription subscription, IReadOnlyList<BilledPlan> plans, BillingPeriod period,
    BillingPeriod used, long through)
{
    private readonly IReadOnlyList<(BilledPlan Plan, PeriodUsage Usage)> newestFirst =
    [
        .. plans.Reverse().Select(plan => (
            plan, new PeriodUsage(tenant, id, subscription, plan.Ran(used), plan.Span, used, through, plan.Meters))),
    ];

    private Answer<IReadOnlyList<SubscribedAddOnView>>? addOns;

    public void Ask(RoundTrip together)
    {
        addOns = SubscribedAddOnView.Of(together, tenant, id);
        foreach (var (_, usage) in newestFirst)
            usage.Ask(together);
    }

    /// <returns>Of the newest plan first.</returns>
    /// <param name="together">For what is found to be needed beside, which it sends.</param>
    public async Task<IReadOnlyList<RatedLine>> Rate(RoundTrip together, CancellationToken cancellation)
    {
        var zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
        var whole = BillingPeriods.Containing(period.Start, subscription.Cycle, zone);
        var lines = new List<RatedLine>();
        foreach (var (plan, read) in newestFirst)
        {
            var usage = await read.Read(together, cancellation);
            var rated = plan.Span.End is null
                ? RatePeriod.Rate(plan.Terms, period, whole, zone, usage, subscription.PlanEndsAt(period.End), subscription.FeeOf(period))
                : RatePeriod.RateLate(plan.Terms, usage);
            lines.AddRange(rated.Select(line => line with { SubscriptionId = id, Plan = plan.Span, ProductId = plan.ProductId }));
        }

        // Add-ons end with the subscription; what is billed later is late usage alone.
        if (subscription.EndedAt is null)
            lines.AddRange(RateAddOns.Lines(addOns!.Value, period, whole, zone).Select(line => line with { SubscriptionId = id }));
        return lines;
    }
}

/// <summary>
/// The terms and meters of plans' versions. A version never changes, so each is read from the catalog once; the prices that charges look
/// up in the price book are read each time, because later ones are added to it.
/// </summary>
public sealed class BilledPlans(Documents documents)
{
    private sealed record Known(PlanTerms Terms, IReadOnlyList<BilledMeter> Meters, ProductId? ProductId);

    private readonly ConcurrentDictionary<(PlanId, int), Known> known = new();

    /// <summary>All plans that the tenant's subscription was on, oldest first.</summary>
    public async Task<IReadOnlyList<BilledPlan>> Of(TenantId tenant, Subscription subscription, CancellationToken cancellation)
    {
        var plans = new List<BilledPlan>();
        foreach (var span in subscription.Plans)
        {
            var (terms, meters, product) = await Version(span, cancellation);
            plans.Add(span.Trial
                ? new(span, terms.OnTrial(), [.. meters.Select(meter => meter with { Timed = null, Events = null })], product)
                : await AtPrices(new(span, terms, meters, product), tenant, cancellation));
        }

        return plans;
    }

    private async Task<BilledPlan> AtPrices(BilledPlan plan, TenantId tenant, CancellationToken cancellation)
    {
        if (!plan.Terms.Charges.Any(charge => charge is DynamicCharge { PriceKey: not null }))
            return plan;

        var charges = new List<Charge>();
        foreach (var charge in plan.Terms.Charges)
        {
            charges.Add(charge is DynamicCharge { PriceKey: { } key } dynamic
                ? dynamic with
                {
                    Prices = await PriceView.Timeline(documents, tenant, key, plan.Terms.Currency, cancellation)
                        ?? throw new InvalidOperationException($"The price book has no price of {key} in {plan.Terms.Currency}."),
                }
                : charge);
        }

        var terms = plan.Terms with { Charges = charges };
        return plan with { Terms = terms, Meters = [.. plan.Meters.Select(meter => meter with { Timed = Timed(terms, meter.Key) })] };
    }

    /// <summary>The fee that is owed at the end of a period for what follows it, also where that is on another plan.</summary>
    public async Task<IReadOnlyList<RatedLine>> InAdvance(
        SubscriptionId id, Subscription subscription, Instant end, CancellationToken cancellation)
    {
        var next = ClosePeriod.Follow(subscription, end, at: end);
        if (next.Prepaid is not { } fee || fee == subscription.Prepaid)
            return [];

        var (span, zone) = (next.Subscription.Plans[^1], DateTimeZoneProviders.Tzdb[subscription.TimeZone]);
        var (terms, _, product) = await Version(span, cancellation);
        return
        [
            .. RecurringFee.InAdvance(terms, fee, BillingPeriods.Containing(end, span.Cycle, zone), zone)
                .Select(line => line with { SubscriptionId = id, Plan = span, ProductId = product, TaxCategory = terms.TaxCategory }),
        ];
    }

    private async Task<Known> Version(PlanSpan span, CancellationToken cancellation)
    {
        var key = (span.PlanId, span.PlanVersion);
        if (!known.TryGetValue(key, out var version))
            known[key] = version = await Read(span, cancellation);
        return version;
    }

    private async Task<Known> Read(PlanSpan span, CancellationToken cancellation)
    {
        var plan = await PlanView.Find(documents, span.PlanId, cancellation);
        var terms = plan?.TermsOf(span.PlanVersion)
            ?? throw new InvalidOperationException($"Plan {span.PlanId} has no version {span.PlanVersion}.");
        var meters = await MeterView.OfKeys(documents, terms.Charges.Select(charge => charge.Meter), cancellation);
        return new(terms, [.. meters.Select(meter => AtVersion(meter, terms))], plan!.ProductOf(span.PlanVersion));
    }

    private static BilledMeter AtVersion(MeterView meter, PlanTerms terms)
    {
        var charge = terms.Charges.First(charge => charge.Meter == meter.Key);
        var version = charge.MeterVersion ?? 1;
        var definition = meter.DefinitionOf(version) ?? throw new InvalidOperationException($"Meter {meter.Key} has no version {version}.");
        return new(
            meter.Key, new(meter.MeterId, version), definition, Timed(terms, meter.Key), charge.ReadsOfEvents(definition.ValueProperty));
    }

    // The price of a meter, where it needs to know when units were used.
    private static PriceModel? Timed(PlanTerms terms, string meter) =>
        terms.Charges.First(charge => charge.Meter == meter).ToPrice() is (WindowedCommitmentPrice or BookPrice) and var price ? price : null;
}
