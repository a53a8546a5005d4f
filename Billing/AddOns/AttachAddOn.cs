using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.AddOns;

/// <summary>Gives a subscription an add-on from now on.</summary>
public static class AttachAddOn
{
    public const int QuantityMax = 1_000_000;

    public sealed record NewSubscribedAddOn(AddOnId AddOnId, int Quantity = 1);

    /// <param name="AddOn">Null where there is no such add-on.</param>
    /// <param name="Currency">The tenant's.</param>
    public sealed record Command(
        SubscribedAddOnId SubscribedAddOnId, SubscriptionId SubscriptionId, Subscription Subscription, AddOnView? AddOn, int Quantity,
        Currency Currency, Instant At);

    public static Decision<SubscribedAddOnEvent> Decide(Command command, SubscribedAddOn addOn) => (command, addOn) switch
    {
        (_, { Attached: not null }) => [],
        ({ Subscription.Exists: false }, _) => Refusal.Because("subscription.not_found", "There is no such subscription."),
        ({ Subscription.EndedAt: not null }, _) => Refusal.Because("subscription.ended", "The subscription has ended."),
        ({ AddOn: null }, _) => Refusal.Because("add_on.unknown", "There is no such add-on.", "add_on_id"),
        ({ AddOn: var it }, _) when it.Amount.Currency != command.Currency => Refusal.Because(
            "add_on.currency_differs", $"The tenant is billed in {command.Currency}.", "add_on_id"),
        ({ AddOn: var it }, _) =>
        [
            new AddOnAttached(
                command.SubscribedAddOnId, command.SubscriptionId, it.AddOnId, it.DisplayName, it.Amount, it.Kind, command.Quantity,
                command.At, it.ProductId, it.TaxCategory),
        ],
    };

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/{id}/add-ons", Handle).WithName(nameof(AttachAddOn)).ForAdmins().Idempotent();

    private static async Task<Results<Created<SubscribedAddOnView>, ProblemHttpResult>> Handle(
        SubscriptionId id, NewSubscribedAddOn request, Caller caller, RequestId requestId, EventStore.EventStore store,
        Documents documents, TenantClock clock, CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(request.Quantity is >= 1 and <= QuantityMax, "quantity", $"Between 1 and {QuantityMax}.")
            .ThrowIfAny();
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var attached = new SubscribedAddOnId(requestId.Value);
        var at = await clock.Now(caller.TenantId, cancellation);
        var addOn = await AddOnView.Find(documents, request.AddOnId, cancellation);

        // In the tenant's lane, where periods are closed: an add-on begins in a period that is not billed yet.
        var decided = await store.Transact(
            caller.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var subscription = await transaction.Load<Subscription, SubscriptionEvent>(
                    Subscription.Stream(caller.TenantId, id), token);
                return await transaction.Decide<SubscribedAddOn, SubscribedAddOnEvent>(
                    SubscribedAddOn.Stream(caller.TenantId, attached),
                    known => Decide(new(attached, id, subscription.State, addOn, request.Quantity, tenant.Currency, at), known), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created(
                $"/v1/subscriptions/{id}/add-ons/{attached}",
                (await SubscribedAddOnView.Find(documents, caller.TenantId, attached, cancellation))!);
    }
}
