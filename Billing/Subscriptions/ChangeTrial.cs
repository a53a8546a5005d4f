using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Ends a running trial earlier, at once too, or later than it was to. Paid periods and the fee begin where it ends, as if that had been
/// agreed from the start.
/// </summary>
public static class ChangeTrial
{
    /// <param name="EndsAt">Not in the past, and at most two years after the subscription's start; the trial ends now if absent.</param>
    public sealed record TrialChange(Instant? EndsAt = null);

    /// <param name="MayExtend">Who gives away a longer trial is the operator.</param>
    /// <param name="NextPlan">The terms of the plan that was to begin where the trial ends; null where there is none.</param>
    /// <param name="Now">The instant of the request; periods that ended before are closed already.</param>
    public sealed record Command(Instant? EndsAt, bool MayExtend, PlanTerms? NextPlan, Instant Now);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        var (end, now) = (command.EndsAt ?? command.Now, command.Now);
        return subscription switch
        {
            { Exists: false } => Refusal.Because("subscription.not_found", "There is no such subscription."),
            { EndedAt: not null } => Refusal.Because("subscription.ended", "The subscription has ended."),
            { InTrial: false } => Refusal.Because("subscription.not_on_trial", "The subscription is not on trial."),
            { EndsAt: not null } => Refusal.Because(
                "subscription.cancelled", "The subscription ends with its trial; withdraw its cancellation first."),
            // Another request ended it a moment before.
            _ when subscription.PeriodEnd <= now => RunningPeriod.Refuse(subscription, now)!,
            _ when end < now => Refusal.Because("subscription.trial_end_passed", "A trial cannot end in the past.", "ends_at"),
            _ when end <= subscription.PeriodStart => RunningPeriod.Refuse(subscription, now)!,
            _ when end > subscription.TrialEndMax =>
                Refusal.Because("subscription.trial_too_long", "A trial ends at most two years after the start.", "ends_at"),
            _ when end > subscription.TrialEnd && !command.MayExtend =>
                Refusal.Because("subscription.trial_extension.forbidden", "Only an operator can extend a trial.", "ends_at"),
            _ when end == subscription.TrialEnd => [],
            _ => Changed(command, subscription, new(end, subscription.CycleAfterTrial(end), now)),
        };
    }

    // A plan that was to begin with the first paid period still does.
    private static Decision<SubscriptionEvent> Changed(Command command, Subscription subscription, TrialEndChanged changed) =>
        subscription.NextPlan is { } next
            ?
            [
                changed,
                next with
                {
                    Cycle = Subscription.Evolve(subscription, changed).CycleFrom(changed.TrialEnd, command.NextPlan!),
                    EffectiveAt = changed.TrialEnd,
                    At = command.Now,
                },
            ]
            : [changed];

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/{id}/trial", Handle).WithName(nameof(ChangeTrial)).ForAdmins().Idempotent();

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Handle(
        SubscriptionId id, TrialChange request, Caller caller, ChangeSubscription change, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        return await change.Apply(
            caller, id, now,
            async (_, subscription, token) =>
            {
                var next = subscription.NextPlan is { } plan
                    ? (await PlanView.Find(documents, plan.PlanId, token))?.TermsOf(plan.PlanVersion)
                    : null;
                return Decide(new(request.EndsAt?.ToMicroseconds(), caller.IsOperator, next, now), subscription);
            },
            cancellation);
    }
}
