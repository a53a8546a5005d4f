using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>When a change of a subscription takes effect.</summary>
public enum ChangeTime
{
    Now,
    PeriodEnd,
}

/// <summary>
/// Ends a subscription with its running period, which ends now or by the calendar and is invoiced like any other. Until then a
/// cancellation at the period's end can be withdrawn.
/// </summary>
public static class CancelSubscription
{
    /// <param name="Refund">Of a fee that was billed in advance; prorated if absent.</param>
    public sealed record Cancellation(ChangeTime When, FeeRefund Refund = FeeRefund.Prorated);

    /// <param name="Now">The instant of the request; periods that ended before are closed already.</param>
    public sealed record Command(ChangeTime When, Instant Now, FeeRefund Refund = FeeRefund.Prorated);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (!subscription.Exists)
            return Refusal.Because("subscription.not_found", "There is no such subscription.");
        if (subscription.EndedAt is not null)
            return [];
        if (RunningPeriod.Refuse(subscription, command.Now) is { } refusal)
            return refusal;

        return (command.When, subscription.EndsAt) switch
        {
            (ChangeTime.PeriodEnd, not null) => [],
            (ChangeTime.PeriodEnd, null) => [new CancellationScheduled(subscription.PeriodEnd, command.Now, command.Refund)],
            _ => [new CancellationScheduled(command.Now, command.Now, command.Refund)],
        };
    }

    public static Decision<SubscriptionEvent> DecideWithdrawal(Instant now, Subscription subscription) => subscription switch
    {
        { Exists: false } => Refusal.Because("subscription.not_found", "There is no such subscription."),
        { EndsAt: null } => [],
        { EndsAt: var end } when end <= now => Refusal.Because("subscription.ended", "The subscription has ended."),
        _ => [new CancellationWithdrawn(now)],
    };

    public static void Map(RouteGroupBuilder subscriptions)
    {
        subscriptions.MapPost("/{id}/cancel", Cancel).WithName(nameof(CancelSubscription)).ForAdmins().Idempotent();
        subscriptions.MapPost("/{id}/withdraw-cancellation", Withdraw).WithName("WithdrawCancellation").ForAdmins().Idempotent();
    }

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Cancel(
        SubscriptionId id, Cancellation request, Caller caller, ChangeSubscription change, TenantClock clock,
        CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        return await change.Apply(
            caller, id, now, (_, subscription, _) => Task.FromResult(Decide(new(request.When, now, request.Refund), subscription)), cancellation);
    }

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Withdraw(
        SubscriptionId id, Caller caller, ChangeSubscription change, TenantClock clock, CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        return await change.Apply(
            caller, id, now, (_, subscription, _) => Task.FromResult(DecideWithdrawal(now, subscription)), cancellation);
    }
}
