using System.Globalization;
using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Rating;

/// <summary>What a subscription owes for its add-ons in a period. Pure.</summary>
public static class RateAddOns
{
    // An amount per day rarely has an end; the line's amount comes from the whole amount, this only explains it.
    private const int AmountPerDayDecimals = 10;

    /// <param name="period">What is billed: a whole billing period or a slice of one.</param>
    /// <param name="whole">The billing period by the calendar that <paramref name="period"/> lies in.</param>
    /// <param name="zone">The tenant's: an add-on is owed from the day on which it was attached to the day before it was removed.</param>
    public static IReadOnlyList<RatedLine> Lines(
        IEnumerable<SubscribedAddOnView> addOns, BillingPeriod period, BillingPeriod whole, DateTimeZone zone) =>
    [
        .. addOns.SelectMany(addOn => addOn.Kind is AddOnKind.OneOff
            ? OneOff(addOn, period)
            : Recurring(addOn, period, whole, zone)),
    ];

    private static RatedLine[] OneOff(SubscribedAddOnView addOn, BillingPeriod period) =>
        period.Contains(addOn.AttachedAt) && !(addOn.RemovedAt < period.End)
            ? [Line(addOn, addOn.DisplayName, addOn.Quantity, "unit", addOn.Amount.Amount, Total(addOn), period)]
            : [];

    // Like a recurring fee: what the period owes at the slice's end less what it owed at its start, so that slices sum to the whole.
    private static RatedLine[] Recurring(SubscribedAddOnView addOn, BillingPeriod period, BillingPeriod whole, DateTimeZone zone)
    {
        var window = new BillingPeriod(
            Instant.Max(period.Start, addOn.AttachedAt), Instant.Min(period.End, addOn.RemovedAt ?? period.End));
        if (window.Start >= window.End)
            return [];

        var (from, to, all) = (Days(window.Start), Days(window.End), Days(whole.End));
        if (from == to)
            return [];
        if (from == 0 && to == all)
            return [Line(addOn, addOn.DisplayName, addOn.Quantity, "unit", addOn.Amount.Amount, Total(addOn), window)];

        var total = Total(addOn).Amount;
        return
        [
            Line(
                addOn, string.Create(CultureInfo.InvariantCulture, $"{addOn.DisplayName}, {to - from} of {all} days"), to - from, "day",
                decimal.Round(total / all, AmountPerDayDecimals), Owed(to) - Owed(from), window),
        ];

        Money Owed(int days) => Money.Round(total * days / all, addOn.Amount.Currency);

        int Days(Instant until) => Period.DaysBetween(whole.Start.InZone(zone).Date, until.InZone(zone).Date);
    }

    private static Money Total(SubscribedAddOnView addOn) =>
        addOn.Amount with { MinorUnits = checked(addOn.Amount.MinorUnits * addOn.Quantity) };

    private static RatedLine Line(
        SubscribedAddOnView addOn, string description, decimal quantity, string unit, decimal unitAmount, Money amount,
        BillingPeriod window) =>
        new(LineKind.AddOn, description, Meter: null, quantity, unit, unitAmount, amount, window, TaxCategory: addOn.TaxCategory)
        {
            ProductId = addOn.ProductId,
            AddOnId = addOn.AddOnId,
        };
}
