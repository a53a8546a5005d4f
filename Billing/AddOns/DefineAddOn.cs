using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.AddOns;

/// <summary>Puts something into the catalog that subscriptions may have beside their plan. It never changes.</summary>
public static class DefineAddOn
{
    /// <param name="Amount">Of one of it: for each whole billing period, or once.</param>
    /// <param name="ProductId">What it sells, named on its invoice lines.</param>
    /// <param name="TaxCategory">Of products, by which it is taxed; <c>standard</c> if absent.</param>
    public sealed record NewAddOn(
        string Key, string DisplayName, Money Amount, AddOnKind Kind, ProductId? ProductId = null, string? TaxCategory = null);

    /// <param name="KeyTaken">Another add-on has the key.</param>
    /// <param name="ProductExists">True also where none is named.</param>
    public sealed record Command(AddOnId AddOnId, NewAddOn AddOn, bool KeyTaken, bool ProductExists, Instant At);

    public static Decision<AddOnEvent> Decide(Command command, AddOn addOn) => (command, addOn) switch
    {
        (_, { Exists: true }) => [],
        ({ KeyTaken: true }, _) => Refusal.Because("add_on.key_taken", "Another add-on has this key."),
        ({ ProductExists: false }, _) => Refusal.Because("add_on.product_unknown", "There is no such product.", "product_id"),
        ({ AddOn: var it }, _) =>
        [
            new AddOnDefined(command.AddOnId, it.Key, it.DisplayName, it.Amount, it.Kind, command.At, it.ProductId, it.TaxCategory),
        ],
    };

    public static void Map(RouteGroupBuilder addOns) =>
        addOns.MapPost("/", Handle).WithName(nameof(DefineAddOn)).ForOperators().Idempotent();

    private static async Task<Results<Created<AddOnView>, ProblemHttpResult>> Handle(
        NewAddOn request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(CatalogKeys.IsValid(request.Key), "key", CatalogKeys.Rule)
            .RequireDisplayName(request.DisplayName)
            .Require(
                request.Amount is { MinorUnits: >= 0, Amount: < 1_000_000_000 }, "amount.amount",
                "An amount is not negative and below 1000000000.")
            .Require(request.TaxCategory is null || CatalogKeys.IsValid(request.TaxCategory), "tax_category", CatalogKeys.Rule)
            .ThrowIfAny();

        var id = new AddOnId(requestId.Value);
        var at = clock.Now();
        var productExists = request.ProductId is not { } product || await ProductView.Find(documents, product, cancellation) is not null;
        var decided = await store.Transact(
            TenantId.Operator.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var taken = await CatalogKeys.IsTaken(transaction, AddOnView.Table, request.Key, id.Value, token);
                return await transaction.Decide<AddOn, AddOnEvent>(
                    AddOn.Stream(id), addOn => Decide(new(id, request, taken, productExists, at), addOn), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/add-ons/{id}", (await AddOnView.Find(documents, id, cancellation))!);
    }
}
