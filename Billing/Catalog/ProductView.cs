using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>A product as everybody reads it.</summary>
public sealed record ProductView(ProductId ProductId, string Key, string DisplayName, Business Business, Instant DefinedAt)
{
    public const string Table = "products";

    public static void Map(RouteGroupBuilder products)
    {
        products.MapGet("/", List).WithName("ListProducts");
        products.MapGet("/{id}", Get).WithName("GetProduct");
    }

    public static Task<ProductView?> Find(Documents documents, ProductId product, CancellationToken cancellation) =>
        documents.Find(TenantId.Operator.Value, Table, product.Value, Stored.Json<ProductView>(), cancellation);

    private static Task<Ok<Page<ProductView>>> List(
        [AsParameters] PageQuery page, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<ProductView>(TenantId.Operator, Table, page, newestFirst: false, cancellation);

    private static async Task<Results<Ok<ProductView>, ProblemHttpResult>> Get(
        ProductId id, Documents documents, CancellationToken cancellation) =>
        await Find(documents, id, cancellation) is { } product ? TypedResults.Ok(product) : Problems.NotFound("product");
}

public sealed class ProductProjection : DocumentProjection<ProductView, ProductEvent>
{
    public override string Name => "products";

    protected override string Table => ProductView.Table;

    protected override JsonTypeInfo<ProductView> Json => Stored.Json<ProductView>();

    protected override ProductView? Fold(ProductView? view, ProductEvent @event, RecordedEvent recorded) => @event switch
    {
        ProductDefined it => new(it.ProductId, it.Key, it.DisplayName, it.Business, it.At),
        _ => throw new UnreachableException($"ProductView does not know {@event.GetType().Name}."),
    };
}
