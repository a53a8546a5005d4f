using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.AddOns;

/// <summary>Takes an add-on from a subscription: a recurring one is owed up to now, a one-off one not at all.</summary>
public static class RemoveAddOn
{
    public sealed record Command(SubscriptionId SubscriptionId, Subscription Subscription, Instant At);

    public static Decision<SubscribedAddOnEvent> Decide(Command command, SubscribedAddOn addOn) => addOn switch
    {
        _ when addOn.Attached?.SubscriptionId != command.SubscriptionId =>
            Refusal.Because("subscribed_add_on.not_found", "The subscription has no such add-on."),
        { IsRemoved: true } => [],
        { Attached: { Kind: AddOnKind.OneOff, At: var at } } when IsBilled(command, at) =>
            Refusal.Because("subscribed_add_on.billed", "The add-on is on an invoice already."),
        _ => [new AddOnRemoved(command.At)],
    };

    // Also where the period has ended and is about to be invoiced.
    private static bool IsBilled(Command command, Instant attachedAt) =>
        attachedAt < command.Subscription.PeriodStart
        || (command.Subscription.PeriodEnd <= command.At && attachedAt < command.Subscription.PeriodEnd);

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/{id}/add-ons/{addOnId}/remove", Handle).WithName(nameof(RemoveAddOn)).ForAdmins().Idempotent();

    private static async Task<Results<Ok<SubscribedAddOnView>, ProblemHttpResult>> Handle(
        SubscriptionId id, SubscribedAddOnId addOnId, Caller caller, EventStore.EventStore store, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        var at = await clock.Now(caller.TenantId, cancellation);
        var decided = await store.Transact(
            caller.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var subscription = await transaction.Load<Subscription, SubscriptionEvent>(
                    Subscription.Stream(caller.TenantId, id), token);
                return await transaction.Decide<SubscribedAddOn, SubscribedAddOnEvent>(
                    SubscribedAddOn.Stream(caller.TenantId, addOnId), known => Decide(new(id, subscription.State, at), known), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await SubscribedAddOnView.Find(documents, caller.TenantId, addOnId, cancellation))!);
    }
}
