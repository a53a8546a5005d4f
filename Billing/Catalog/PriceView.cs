using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>A price of the book as everybody reads it, or an override as its tenant does.</summary>
/// <param name="TenantId">Whose override it is; null for everybody's price.</param>
/// <param name="ValidFrom">Included.</param>
/// <param name="ValidUntil">Excluded; null where only the next price ends it.</param>
public sealed record PriceView(
    PriceId PriceId, TenantId? TenantId, string Key, Currency Currency, decimal UnitAmount, Instant ValidFrom, Instant? ValidUntil,
    Instant PublishedAt)
{
    public const string Table = "prices";

    public static void Map(RouteGroupBuilder prices)
    {
        prices.MapGet("/", List).WithName("ListPrices");
        prices.MapGet("/{id}", Get).WithName("GetPrice");
    }

    public static Task<PriceView?> Find(Documents documents, TenantId owner, PriceId price, CancellationToken cancellation) =>
        documents.Find(owner.Value, Table, price.Value, Stored.Json<PriceView>(), cancellation);

    /// <summary>Whether the transaction's tenant has a price of the key, as it is in the transaction.</summary>
    public static async Task<bool> IsPriced(
        EventTransaction transaction, string key, Currency currency, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            "select exists (select from billing.prices where tenant_id = $1 and data ->> 'key' = $2 and data ->> 'currency' = $3)",
            Sql.P(transaction.TenantId), Sql.P(key), Sql.P(currency.Code));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>All prices of a key that concern a tenant; null where the book has none in the currency.</summary>
    public static async Task<PriceTimeline?> Timeline(
        Documents documents, TenantId tenant, string key, Currency currency, CancellationToken cancellation)
    {
        var book = await Of(Contracts.TenantId.Operator);
        var overrides = tenant == Contracts.TenantId.Operator ? [] : await Of(tenant);
        return book.Count == 0 ? null : new(book, overrides);

        async Task<IReadOnlyList<BookedPrice>> Of(TenantId owner) =>
        [
            .. (await All(documents, owner, key, cancellation))
                .Where(it => it.Currency == currency)
                .Select(it => new BookedPrice(it.PriceId, it.UnitAmount, it.ValidFrom, it.ValidUntil, it.PublishedAt)),
        ];
    }

    private static async Task<IEnumerable<PriceView>> All(
        Documents documents, TenantId owner, string key, CancellationToken cancellation)
    {
        var rows = await documents.List(
            owner.Value, Table, Stored.Json<PriceView>(), limit: int.MaxValue, after: null, newestFirst: false, cancellation,
            "data ->> 'key' = $1", Sql.P(key));
        return rows.Select(row => row.View);
    }

    /// <summary>
    /// Without <paramref name="at"/> the book's history, or with <paramref name="overrides"/> the tenant's own; with it the price that
    /// holds for the tenant then, one per currency.
    /// </summary>
    private static async Task<Ok<Page<PriceView>>> List(
        [AsParameters] PageQuery page, string? key, string? at, bool? overrides, Caller caller, Documents documents,
        CancellationToken cancellation)
    {
        if (QueryInstant.Optional(at, "at") is { } instant)
        {
            new FieldErrors().Require(key is not null, "key", "A price at an instant is one of a key.").ThrowIfAny();
            return TypedResults.Ok(new Page<PriceView>(await InForce(documents, caller.TenantId, key!, instant, cancellation), NextCursor: null));
        }

        return await documents.PageOf<PriceView>(
            overrides is true ? caller.TenantId : Contracts.TenantId.Operator, Table, page, newestFirst: false, cancellation,
            "$1::text is null or data ->> 'key' = $1", Sql.Optional(key));
    }

    private static async Task<IReadOnlyList<PriceView>> InForce(
        Documents documents, TenantId tenant, string key, Instant at, CancellationToken cancellation)
    {
        var inForce = new List<PriceView>();
        foreach (var currency in (await All(documents, Contracts.TenantId.Operator, key, cancellation)).Select(it => it.Currency).Distinct())
        {
            var price = (await Timeline(documents, tenant, key, currency, cancellation))!.At(at).PriceId;
            inForce.Add((await Find(documents, tenant, price, cancellation) ?? await Find(documents, Contracts.TenantId.Operator, price, cancellation))!);
        }

        return inForce;
    }

    private static async Task<Results<Ok<PriceView>, ProblemHttpResult>> Get(
        PriceId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        (await Find(documents, caller.TenantId, id, cancellation) ?? await Find(documents, Contracts.TenantId.Operator, id, cancellation)) is { } price
            ? TypedResults.Ok(price)
            : Problems.NotFound("price");
}

public sealed class PriceProjection : DocumentProjection<PriceView, PriceEvent>
{
    public override string Name => "prices";

    protected override string Table => PriceView.Table;

    protected override JsonTypeInfo<PriceView> Json => Stored.Json<PriceView>();

    protected override PriceView? Fold(PriceView? view, PriceEvent @event, RecordedEvent recorded) => @event switch
    {
        PricePublished it => new(
            it.PriceId, it.TenantId == TenantId.Operator ? null : it.TenantId, it.Key, it.Currency, it.UnitAmount, it.ValidFrom,
            it.ValidUntil, it.At),
        _ => throw new UnreachableException($"PriceView does not know {@event.GetType().Name}."),
    };
}
