using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>Names something that the company sells, so that plans and their invoice lines can be told apart by it.</summary>
public static class DefineProduct
{
    public sealed record NewProduct(string Key, string DisplayName, Business Business);

    /// <param name="KeyTaken">Another product has the key.</param>
    public sealed record Command(ProductId ProductId, NewProduct Product, bool KeyTaken, Instant At);

    public static Decision<ProductEvent> Decide(Command command, Product product) => (command, product) switch
    {
        (_, { Exists: true }) => [],
        ({ KeyTaken: true }, _) => Refusal.Because("product.key_taken", "Another product has this key."),
        ({ Product: var it }, _) => [new ProductDefined(command.ProductId, it.Key, it.DisplayName, it.Business, command.At)],
    };

    public static void Map(RouteGroupBuilder products) =>
        products.MapPost("/", Handle).WithName(nameof(DefineProduct)).ForOperators().Idempotent();

    private static async Task<Results<Created<ProductView>, ProblemHttpResult>> Handle(
        NewProduct request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(CatalogKeys.IsValid(request.Key), "key", CatalogKeys.Rule)
            .RequireDisplayName(request.DisplayName)
            .ThrowIfAny();

        var id = new ProductId(requestId.Value);
        var at = clock.Now();
        var decided = await store.Transact(
            TenantId.Operator.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var taken = await CatalogKeys.IsTaken(transaction, ProductView.Table, request.Key, id.Value, token);
                return await transaction.Decide<Product, ProductEvent>(
                    Product.Stream(id), product => Decide(new(id, request, taken, at), product), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/products/{id}", (await ProductView.Find(documents, id, cancellation))!);
    }
}
