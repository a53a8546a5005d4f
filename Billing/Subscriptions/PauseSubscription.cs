using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Stops the fee of a subscription, and lets it run again. Periods go on and are invoiced, and what is used meanwhile is charged: it
/// was used.
/// </summary>
public static class PauseSubscription
{
    public sealed record Pause(ChangeTime When);

    /// <param name="Now">The instant of the request; periods that ended before are closed already.</param>
    public sealed record Command(ChangeTime When, Instant Now);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (RunningPeriod.RefuseFee(subscription, command.When, command.Now) is { } refusal)
            return refusal;

        var effective = RunningPeriod.Time(subscription, command.When, command.Now);
        return subscription.Fee.WithPause(paused: true, effective) == subscription.Fee
            ? []
            : [new SubscriptionPaused(effective, command.Now)];
    }

    /// <summary>Ends a pause, or takes one back that is still to come.</summary>
    public static Decision<SubscriptionEvent> DecideResumption(Instant now, Subscription subscription)
    {
        if (RunningPeriod.RefuseFee(subscription, ChangeTime.Now, now) is { } refusal)
            return refusal;

        return subscription.Fee.WithPause(paused: false, now) == subscription.Fee ? [] : [new SubscriptionResumed(now, now)];
    }

    public static void Map(RouteGroupBuilder subscriptions)
    {
        subscriptions.MapPost("/{id}/pause", Handle).WithName(nameof(PauseSubscription)).ForAdmins().Idempotent();
        subscriptions.MapPost("/{id}/resume", Resume).WithName("ResumeSubscription").ForAdmins().Idempotent();
    }

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Handle(
        SubscriptionId id, Pause request, Caller caller, ChangeSubscription change, TenantClock clock, CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        return await change.Apply(
            caller, id, now, (_, subscription, _) => Task.FromResult(Decide(new(request.When, now), subscription)), cancellation);
    }

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Resume(
        SubscriptionId id, Caller caller, ChangeSubscription change, TenantClock clock, CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        return await change.Apply(
            caller, id, now, (_, subscription, _) => Task.FromResult(DecideResumption(now, subscription)), cancellation);
    }
}
