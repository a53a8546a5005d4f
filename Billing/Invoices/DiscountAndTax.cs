using System.Globalization;
using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>
/// Discounts the lines of an invoice and taxes what is left. Pure. Coupons and tax know nothing of each other; they meet here: a
/// coupon's parts lower a line before its tax is computed.
/// </summary>
public static class DiscountAndTax
{
    public static InvoiceContent Of(InvoiceContent content, InvoiceTerms terms)
    {
        var lines = content.Lines;
        string[] keys = [.. lines.Select(KeyOf)];
        var discounts = ApplyCoupons.Apply(
            [
                .. lines.Select((line, index) => new DiscountableLine(
                    keys[index], line.Amount, line.Plan?.PlanId, line.SubscriptionId, line.ProductId)),
            ],
            terms.Redeemed, content.Period, content.CalendarEnd);
        var taxes = ComputeTax.Of(
            [
                .. lines.Select((line, index) => new TaxableLine(
                    keys[index], line.TaxCategory ?? TaxCategory.Standard,
                    discounts.Aggregate(line.Amount, (amount, discount) => amount - discount.Parts[index]),
                    LastDay(line.Window, content.Periods[0].Zone))),
            ],
            terms.Profile, terms.Rates);
        return content with { Discounts = discounts, Taxes = taxes };
    }

    // All that tells one line of an invoice from another, so that their order does not matter.
    private static string KeyOf(RatedLine line) => string.Create(
        CultureInfo.InvariantCulture,
        $"{line.SubscriptionId} {line.Plan?.PlanId} {line.Kind} {line.Meter} {line.Window.Start} {line.Window.End} {line.Description}");

    private static LocalDate LastDay(BillingPeriod window, DateTimeZone zone) =>
        Instant.Max(window.Start, window.End - Duration.Epsilon).InZone(zone).Date;
}
