using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>Writes down what is owed for closed periods.</summary>
public static class DraftInvoice
{
    /// <param name="Progressive">The period was ended by a threshold.</param>
    public sealed record Command(
        InvoiceId InvoiceId, TenantId TenantId, InvoiceContent Content, Instant At, bool Progressive = false);

    public static Decision<InvoiceEvent> Decide(Command command, Invoice invoice) => invoice.Status switch
    {
        InvoiceStatus.Missing =>
        [
            new InvoiceDrafted(
                command.InvoiceId, command.TenantId, command.Content.Currency, command.Content.Period.Start, command.Content.Period.End,
                command.Content.Periods[0].Subscription.TimeZone, [.. command.Content.Periods.Select(Invoiced)],
                command.Content.Usage.Through, command.At, command.Progressive),
            .. command.Content.Lines.Select((line, index) => new InvoiceLineAdded(
                index + 1, line.Kind, line.Description, line.Meter, line.Quantity, line.Unit, line.UnitAmount, line.Amount,
                line.Window.Start, line.Window.End, command.At, line.SubscriptionId, line.Plan?.PlanId, line.Plan?.PlanVersion,
                line.Breakdown, line.TaxCategory, line.ProductId, line.AddOnId)),
            .. command.Content.Discounts.Select(discount => new InvoiceDiscountAdded(
                discount.Coupon.RedemptionId, discount.Coupon.CouponId, discount.Coupon.Terms.Code, discount.Coupon.Terms.DisplayName,
                discount.Amount,
                [
                    .. discount.Parts.Index().Where(part => part.Item.MinorUnits != 0)
                        .Select(part => new LinePart(part.Index + 1, part.Item)),
                ],
                command.At)),
            .. command.Content.Taxes.Select(tax => new InvoiceTaxAdded(
                tax.Jurisdiction, tax.Rate, tax.Inclusive, tax.Treatment, tax.Reason, tax.CustomerTaxId, tax.RateIds,
                tax.TaxableAmount, tax.Amount,
                [.. tax.Lines.Zip(tax.Parts).OrderBy(it => it.First).Select(it => new LinePart(it.First + 1, it.Second))], command.At)),
        ],
        _ => [],
    };

    private static InvoicedSubscription Invoiced(EndingPeriod it) => new(
        it.SubscriptionId, it.Subscription.PlanId, it.Subscription.PlanVersion, it.Subscription.PeriodNumber, it.Period.Start,
        it.Period.End, it.Subscription.UsageThrough);
}
