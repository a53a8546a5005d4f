using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Ends the running billing period: at its end by the calendar once that has passed, or now, on request. The next period
/// begins where it ended and runs to the next anchor day.
/// </summary>
public static class ClosePeriod
{
    /// <param name="AsOf">Calendar ends up to here have passed.</param>
    /// <param name="RequestId">Set where somebody asks for the end now; the same request ends one period only.</param>
    /// <param name="UsageThrough">The newest position of the tenant's usage ledger.</param>
    public sealed record Command(Instant AsOf, Guid? RequestId, InvoiceId InvoiceId, long UsageThrough, Instant At);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (!subscription.Exists)
            return Refusal.Because("subscription.not_found", "There is no such subscription.");
        if (command.RequestId is { } request && subscription.LastClosed?.RequestId == request)
            return [];
        if (subscription.PeriodEnd <= command.AsOf)
            return [Closed(subscription.PeriodEnd, requestId: null)];
        if (command.RequestId is null)
            return [];
        if (command.AsOf <= subscription.PeriodStart)
            return Refusal.Because("subscription.period_empty", "The running period has not begun, so it cannot end.");

        return [Closed(command.AsOf, command.RequestId)];

        PeriodClosed Closed(Instant end, Guid? requestId)
        {
            var zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
            return new(
                subscription.PeriodNumber, subscription.PeriodStart, end,
                BillingPeriods.Containing(end, subscription.BillingAnchorDay, zone).End,
                command.InvoiceId, command.UsageThrough, requestId, command.At);
        }
    }
}
