using NodaTime;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Ends the running billing period: at its end once that has passed, or now, on request. The next period begins where it ended and
/// runs to where the cycle says, on another plan if that was asked for, unless the subscription ends there. An ended subscription's
/// periods are closed likewise where late usage came in them.
/// </summary>
public static class ClosePeriod
{
    /// <param name="AsOf">Calendar ends up to here have passed.</param>
    /// <param name="RequestId">Set where somebody asks for the end now; the same request ends one period only.</param>
    /// <param name="UsageThrough">The newest position of the tenant's usage ledger.</param>
    /// <param name="UsageAgeMax">How old usage may be when it is reported.</param>
    /// <param name="EndsNow">The running period ends at <paramref name="AsOf"/> though nobody asks: its use came to the plan's threshold.</param>
    public sealed record Command(
        Instant AsOf, Guid? RequestId, InvoiceId InvoiceId, long UsageThrough, Duration UsageAgeMax, Instant At, bool EndsNow = false);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (!subscription.Exists)
            return Refusal.Because("subscription.not_found", "There is no such subscription.");
        if (command.RequestId is { } request && subscription.LastClosed?.RequestId == request)
            return [];
        if (subscription.PeriodEnd <= command.AsOf)
            return Close(command, subscription, subscription.PeriodEnd, requestId: null);
        if (command is { RequestId: null, EndsNow: false })
            return [];
        if (command.AsOf <= subscription.PeriodStart)
            return Refusal.Because("subscription.period_empty", "The running period has not begun, so it cannot end.");

        return Close(command, subscription, command.AsOf, command.RequestId);
    }

    /// <summary>Instead of the close of an ended subscription's period, where nothing came late in it.</summary>
    public static Decision<SubscriptionEvent> NothingLate(Command command, Subscription subscription)
    {
        if (command.RequestId is not null)
            return Refusal.Because("subscription.ended", "The subscription has ended, and no late usage of it is uninvoiced.");

        var next = command.AsOf < subscription.EndedAt + command.UsageAgeMax ? subscription.PeriodEndFrom(command.AsOf) : (Instant?)null;
        return [new NothingLate(next, command.UsageThrough, command.At)];
    }

    /// <summary>What a subscription is from the end of its running period on.</summary>
    /// <param name="Events">What happens with the end: another plan, the end of the trial or of the subscription.</param>
    /// <param name="Prepaid">The fee from there on that is or was billed in advance.</param>
    public sealed record Following(IReadOnlyList<SubscriptionEvent> Events, Subscription Subscription, Instant PeriodEnd, PrepaidFee? Prepaid);

    public static Following Follow(Subscription subscription, Instant end, Instant at)
    {
        SubscriptionEvent[] events = subscription switch
        {
            { EndedAt: not null } => [],
            { EndsAt: { } last } when last == end => [new SubscriptionEnded(end, at)],
            { NextPlan: { } next } when next.EffectiveAt == end =>
                [new PlanChanged(next.PlanId, next.PlanVersion, next.Cycle, next.RecurringFee, end, at)],
            { InTrial: true, TrialEnd: { } last } when last == end => [new TrialEnded(end, at)],
            _ => [],
        };
        var after = events.Aggregate(subscription, Subscription.Evolve);
        var periodEnd = after.PeriodEndFrom(end);
        return new(events, after, periodEnd, (subscription.Prepaid, after) switch
        {
            // Who closes a period early has paid for the rest of it.
            ({ } paid, _) when events.Length == 0 && end < paid.Window.End => paid,
            (_, { EndedAt: null, InTrial: false, Cycle.FeeTiming: FeeTiming.InAdvance }) when after.Fee.At(end) is { Paused: false } fee =>
                new(fee.Quantity, new(end, periodEnd)),
            _ => null,
        });
    }

    private static Decision<SubscriptionEvent> Close(Command command, Subscription subscription, Instant end, Guid? requestId)
    {
        var next = Follow(subscription, end, command.At);
        return
        [
            new PeriodClosed(
                subscription.PeriodNumber, subscription.PeriodStart, end, next.PeriodEnd, command.InvoiceId, command.UsageThrough,
                requestId, command.At, next.Prepaid),
            .. next.Events,
        ];
    }
}
