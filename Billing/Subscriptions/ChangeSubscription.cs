using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Changes a subscription that runs, in steps of which each can be repeated: periods whose end has come are closed, the change
/// is recorded, and a period that ends by it is closed. After a crash the recurring close does what was left to do.
/// </summary>
public sealed class ChangeSubscription(EventStore.EventStore store, InvoicePeriod invoices, Documents documents)
{
    public async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Apply(
        Caller caller, SubscriptionId id, Instant now,
        Func<EventTransaction, Subscription, CancellationToken, Task<Decision<SubscriptionEvent>>> decide, CancellationToken cancellation)
    {
        await invoices.CloseEnded(caller.TenantId, now, caller.Cause, cancellation);

        var stream = Subscription.Stream(caller.TenantId, id);
        var refusal = await store.Transact(
            caller.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var (subscription, version) = await transaction.Load<Subscription, SubscriptionEvent>(stream, token);
                var decision = await decide(transaction, subscription, token);
                if (decision.Events.Count > 0)
                {
                    await transaction.Append(stream, version, token, decision.Events);
                    await RecordEntitlements.After(decision.Events, transaction, documents, now, token);
                }

                return decision.Refusal;
            },
            cancellation);
        if (refusal is not null)
            return refusal.ToProblem();

        await invoices.CloseEnded(caller.TenantId, now, caller.Cause, cancellation);
        return TypedResults.Ok((await SubscriptionView.Find(documents, caller.TenantId, id, cancellation))!);
    }
}

/// <summary>What every change asks of the running period.</summary>
internal static class RunningPeriod
{
    public static Refusal? Refuse(Subscription subscription, Instant now) => subscription switch
    {
        // Another request ended it a moment before.
        _ when subscription.PeriodEnd <= now =>
            Refusal.Because("subscription.period_ended", "The running period has ended and is being invoiced; try again."),
        _ when now <= subscription.PeriodStart =>
            Refusal.Because("subscription.period_empty", "The running period has only just begun; try again."),
        _ => null,
    };

    /// <summary>What a change of quantity or a pause asks, which does not end the period.</summary>
    /// <param name="when">Null where the request names an instant.</param>
    public static Refusal? RefuseFee(Subscription subscription, ChangeTime? when, Instant now) => subscription switch
    {
        { Exists: false } => Refusal.Because("subscription.not_found", "There is no such subscription."),
        { EndedAt: not null } => Refusal.Because("subscription.ended", "The subscription has ended."),
        { EndsAt: not null } when when == ChangeTime.PeriodEnd => Refusal.Because(
            "subscription.cancelled", "The subscription ends with the running period; withdraw its cancellation first."),
        _ when subscription.PeriodEnd <= now => Refuse(subscription, now),
        _ => null,
    };

    public static Instant Time(Subscription subscription, ChangeTime when, Instant now) =>
        when == ChangeTime.Now ? now : subscription.PeriodEnd;
}
