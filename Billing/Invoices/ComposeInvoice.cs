using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Contracts;
using Platform.EventStore;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>One period of a subscription that an invoice is for.</summary>
/// <param name="Subscription">As it was before the period was closed.</param>
/// <param name="Period">From the running period's start to where it ends.</param>
public sealed record EndingPeriod(SubscriptionId SubscriptionId, Subscription Subscription, BillingPeriod Period)
{
    /// <summary>The billing period by the calendar that it lies in.</summary>
    public BillingPeriod Calendar => BillingPeriods.Containing(Period.Start, Subscription.Cycle, Zone);

    public DateTimeZone Zone => DateTimeZoneProviders.Tzdb[Subscription.TimeZone];

    /// <summary>What is used on time in it: without length once the subscription has ended, because then only late usage is billed.</summary>
    public BillingPeriod Used => Subscription.EndedAt is { } ended ? new(ended, ended) : Period;
}

/// <summary>Everything that an invoice says, before it has a number.</summary>
/// <param name="Periods">Those that it is for: an ended subscription without late usage is not among them.</param>
/// <param name="Discounts">In the order in which coupons take them; parts are by the place of the line.</param>
/// <param name="Taxes">Per rate, on the lines less their discounts.</param>
/// <param name="Usage">The events that it counts.</param>
public sealed record InvoiceContent(
    IReadOnlyList<EndingPeriod> Periods, Currency Currency, IReadOnlyList<RatedLine> Lines, IReadOnlyList<Discount> Discounts,
    IReadOnlyList<Tax> Taxes, InvoicedUsage Usage)
{
    /// <summary>When the billing period by the calendar ends that the invoice's lies in: later than it for a slice.</summary>
    public Instant CalendarEnd => Periods.Max(it => it.Calendar.End);

    /// <summary>What is owed: the lines less their discounts, with the tax that is added to them.</summary>
    public Money Total
    {
        get
        {
            var total = Lines.Aggregate(Money.Zero(Currency), (sum, line) => sum + line.Amount);
            total = Discounts.Aggregate(total, (sum, discount) => sum - discount.Amount);
            return Taxes.Where(tax => !tax.Inclusive).Aggregate(total, (sum, tax) => sum + tax.Amount);
        }
    }

    public BillingPeriod Period => new(Periods.Min(it => it.Period.Start), Periods.Max(it => it.Period.End));
}

/// <summary>
/// What is owed for periods of a tenant's subscriptions, read from the ledger as it was at a position: for the close, for a preview
/// of what runs, and for the replay of what was closed. It reads and never writes, so that all three get the same of the same.
/// </summary>
public sealed class ComposeInvoice(BilledPlans billedPlans)
{
    /// <summary>Between the steps of one invoice.</summary>
    public sealed record Asked(
        IReadOnlyList<(EndingPeriod Period, IReadOnlyList<BilledPlan> Plans, BilledSubscription Subscription)> Billed, long Through);

    /// <param name="together">Its transaction sees the tenant's rows once it is sent, which this does.</param>
    /// <param name="terms">By what the lines are discounted and taxed.</param>
    /// <param name="through">The newest ledger position to consider.</param>
    /// <returns>Null where there is nothing to invoice: all subscriptions have ended and nothing came late.</returns>
    public async Task<InvoiceContent?> Compose(
        RoundTrip together, TenantId tenant, IReadOnlyList<EndingPeriod> ending, InvoiceTerms terms, long through,
        CancellationToken cancellation)
    {
        var asked = await Ask(together, tenant, ending, through, cancellation);
        await together.Send(cancellation);
        return await Compose(together, asked, terms, cancellation);
    }

    /// <summary>The first step, so that several share a round trip: asks what the invoice is composed of.</summary>
    public async Task<Asked> Ask(
        RoundTrip together, TenantId tenant, IReadOnlyList<EndingPeriod> ending, long through, CancellationToken cancellation)
    {
        var billed = new List<(EndingPeriod, IReadOnlyList<BilledPlan>, BilledSubscription)>();
        foreach (var it in ending)
        {
            var plans = await billedPlans.Of(tenant, it.Subscription, cancellation);
            var subscription = new BilledSubscription(tenant, it.SubscriptionId, it.Subscription, plans, it.Period, it.Used, through);
            subscription.Ask(together);
            billed.Add((it, plans, subscription));
        }

        return new(billed, through);
    }

    /// <summary>The second step, once what was asked is sent.</summary>
    /// <inheritdoc cref="Compose(RoundTrip, TenantId, IReadOnlyList{EndingPeriod}, InvoiceTerms, long, CancellationToken)"/>
    public async Task<InvoiceContent?> Compose(RoundTrip together, Asked asked, InvoiceTerms terms, CancellationToken cancellation)
    {
        // 1 rate each subscription's use and fees
        var (periods, lines, types, currency) = (new List<EndingPeriod>(), new List<RatedLine>(), new List<BilledType>(), default(Currency));
        foreach (var (it, plans, billed) in asked.Billed)
        {
            IReadOnlyList<RatedLine> rated =
            [
                .. await billed.Rate(together, cancellation),
                .. await billedPlans.InAdvance(it.SubscriptionId, it.Subscription, it.Period.End, cancellation),
            ];
            if (it.Subscription.EndedAt is not null && rated.Count == 0)
                continue;

            periods.Add(it);
            lines.AddRange(rated);
            types.AddRange(plans.SelectMany(plan => plan.Types(it.Used, it.Subscription.UsageThrough)));
            currency = plans[^1].Terms.Currency;
        }

        if (periods.Count == 0)
            return null;

        // 2 discount and tax the lines
        return DiscountAndTax.Of(new(periods, currency, lines, Discounts: [], Taxes: [], new(types, asked.Through)), terms);
    }
}
