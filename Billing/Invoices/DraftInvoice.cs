using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>Writes down the rated lines of one closed period.</summary>
public static class DraftInvoice
{
    public sealed record Command(
        InvoiceId InvoiceId, TenantId TenantId, SubscriptionId SubscriptionId, Subscription Subscription, BillingPeriod Period,
        long UsageThrough, Currency Currency, IReadOnlyList<RatedLine> Lines, Instant At);

    public static Decision<InvoiceEvent> Decide(Command command, Invoice invoice) => invoice.Status switch
    {
        InvoiceStatus.Missing =>
        [
            new InvoiceDrafted(
                command.InvoiceId, command.TenantId, command.SubscriptionId, command.Subscription.PlanId,
                command.Subscription.PlanVersion, command.Currency, command.Subscription.PeriodNumber, command.Period.Start,
                command.Period.End, command.Subscription.TimeZone, command.Subscription.UsageThrough, command.UsageThrough,
                command.At),
            .. command.Lines.Select((line, index) => new InvoiceLineAdded(
                index + 1, line.Kind, line.Description, line.Meter, line.Quantity, line.Unit, line.UnitAmount, line.Amount,
                line.Window.Start, line.Window.End, line.Plan?.PlanVersion ?? command.Subscription.PlanVersion, command.At, line.Breakdown,
                line.Plan?.PlanId is { } other && other != command.Subscription.PlanId ? other : null)),
        ],
        _ => [],
    };
}
