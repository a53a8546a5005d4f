using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Puts a subscription on another plan or version. Now: the running period ends now, is invoiced as a slice on the plan it ran on, and
/// the rest of it runs on the new one. At the period's end: the next period does.
/// </summary>
public static class ChangePlan
{
    /// <param name="When">Needed unless <paramref name="EffectiveAt"/> says it.</param>
    /// <param name="Version">The newest one if absent.</param>
    /// <param name="EffectiveAt">An instant of the running period that is over: as if the change had been asked for then.</param>
    public sealed record PlanChange(PlanId PlanId, ChangeTime? When = null, int? Version = null, Instant? EffectiveAt = null);

    /// <param name="Plan">Null where there is no such plan.</param>
    /// <param name="When">Null where <paramref name="EffectiveAt"/> says it.</param>
    /// <param name="Currency">The tenant's.</param>
    /// <param name="MetersBilled">Meters that another subscription of the tenant bills.</param>
    /// <param name="Now">The instant of the request; periods that ended before are closed already.</param>
    public sealed record Command(
        PlanView? Plan, int? Version, ChangeTime? When, Currency Currency, IReadOnlyCollection<string> MetersBilled, Instant Now,
        Instant? EffectiveAt = null);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (!subscription.Exists)
            return Refusal.Because("subscription.not_found", "There is no such subscription.");
        if (subscription.EndedAt is not null)
            return Refusal.Because("subscription.ended", "The subscription has ended.");
        if (StartSubscription.RefusePlan(command.Plan, command.Version, "version", command.Currency, command.MetersBilled) is { } unfit)
            return unfit;
        if (RunningPeriod.Refuse(subscription, command.Now) is { } refusal)
            return refusal;
        if (command.EffectiveAt <= subscription.PeriodStart || command.EffectiveAt > command.Now)
        {
            return Refusal.Because(
                "subscription.not_in_period", "The change is to be in the running period, after its start, and not ahead.", "effective_at");
        }

        var (plan, version) = (command.Plan!.PlanId, command.Version ?? command.Plan.LatestVersion);
        if ((plan, version) == (subscription.PlanId, subscription.PlanVersion))
            return subscription.NextPlan is null ? [] : [new PlanChangeWithdrawn(command.Now)];
        if (command.When != ChangeTime.PeriodEnd)
            return [Scheduled(command.EffectiveAt ?? command.Now)];
        if (subscription.EndsAt is not null)
        {
            return Refusal.Because(
                "subscription.cancelled", "The subscription ends with the running period; withdraw its cancellation first.");
        }

        return subscription.NextPlan is { } next && (next.PlanId, next.PlanVersion) == (plan, version)
            ? []
            : [Scheduled(subscription.PeriodEnd)];

        PlanChangeScheduled Scheduled(Instant effective)
        {
            var terms = command.Plan.TermsOf(version)!;
            return new(plan, version, subscription.CycleFrom(effective, terms), terms.RecurringFee, effective, command.Now);
        }
    }

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/{id}/change-plan", Handle).WithName(nameof(ChangePlan)).ForAdmins().Idempotent();

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Handle(
        SubscriptionId id, PlanChange request, Caller caller, ChangeSubscription change, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        if (request.When is null == request.EffectiveAt is null)
            throw new InvalidRequestException("when", "Either when or effective_at is needed.");
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var now = await clock.Now(caller.TenantId, cancellation);
        var effective = request.EffectiveAt?.ToMicroseconds();
        var plan = await PlanView.Find(documents, request.PlanId, cancellation);
        return await change.Apply(
            caller, id, now,
            async (transaction, subscription, token) =>
            {
                var billed = await BilledMeters.Read(transaction, documents, effective ?? now, except: id, token);
                return Decide(new(plan, request.Version, request.When, tenant.Currency, billed, now, effective), subscription);
            },
            cancellation);
    }
}
