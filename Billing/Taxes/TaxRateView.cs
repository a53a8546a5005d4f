using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Taxes;

/// <summary>A tax rate as everybody reads it; <see cref="TaxRateTerms"/> says what its terms mean.</summary>
/// <param name="ArchivedAt">Set where it was wrong: no invoice made from then on is taxed by it.</param>
public sealed record TaxRateView(
    TaxRateId TaxRateId, string Jurisdiction, string Category, decimal Rate, bool Inclusive, LocalDate ValidFrom, LocalDate? ValidUntil,
    Instant PublishedAt, Instant? ArchivedAt)
{
    public const string Table = "tax_rates";

    // Far more than a jurisdiction ever has.
    private const int RatesMax = 10_000;

    public static void Map(RouteGroupBuilder rates)
    {
        rates.MapGet("/", List).WithName("ListTaxRates");
        rates.MapGet("/{id}", Get).WithName("GetTaxRate");
    }

    public static Task<TaxRateView?> Find(Documents documents, TaxRateId id, CancellationToken cancellation) =>
        documents.Find(TenantId.Operator.Value, Table, id.Value, Stored.Json<TaxRateView>(), cancellation);

    public bool IsInForce(LocalDate day) => ValidFrom <= day && (ValidUntil is not { } end || day < end);

    /// <summary>The rates by which a jurisdiction's invoices are taxed that are made now.</summary>
    public static Task<IReadOnlyList<TaxRateView>> Of(Documents documents, string jurisdiction, CancellationToken cancellation) =>
        Where(documents, "data ->> 'jurisdiction' = $1 and data ->> 'archived_at' is null", Sql.P(jurisdiction), cancellation);

    /// <summary>Those that an invoice names, also where they were archived since.</summary>
    public static Task<IReadOnlyList<TaxRateView>> Of(
        Documents documents, IEnumerable<TaxRateId> rates, CancellationToken cancellation) =>
        Where(documents, "id = any($1)", Sql.P([.. rates.Select(rate => rate.Value)]), cancellation);

    private static async Task<IReadOnlyList<TaxRateView>> Where(
        Documents documents, string condition, NpgsqlParameter value, CancellationToken cancellation)
    {
        var rows = await documents.List(
            TenantId.Operator.Value, Table, Stored.Json<TaxRateView>(), RatesMax, after: null, newestFirst: false, cancellation,
            condition, value);
        return [.. rows.Select(row => row.View)];
    }

    private static Task<Ok<Page<TaxRateView>>> List(
        [AsParameters] PageQuery page, string? jurisdiction, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<TaxRateView>(
            TenantId.Operator, Table, page, newestFirst: false, cancellation, "$1::text is null or data ->> 'jurisdiction' = $1",
            Sql.Optional(jurisdiction));

    private static async Task<Results<Ok<TaxRateView>, ProblemHttpResult>> Get(
        TaxRateId id, Documents documents, CancellationToken cancellation) =>
        await Find(documents, id, cancellation) is { } rate ? TypedResults.Ok(rate) : Problems.NotFound("tax_rate");
}

public sealed class TaxRateProjection : DocumentProjection<TaxRateView, TaxRateEvent>
{
    public override string Name => "tax_rates";

    protected override string Table => TaxRateView.Table;

    protected override JsonTypeInfo<TaxRateView> Json => Stored.Json<TaxRateView>();

    protected override TaxRateView? Fold(TaxRateView? view, TaxRateEvent @event, RecordedEvent recorded) => (view, @event) switch
    {
        (_, TaxRatePublished { Terms: var terms } it) => new(
            it.TaxRateId, terms.Jurisdiction, terms.Category, terms.Rate, terms.Inclusive, terms.ValidFrom, terms.ValidUntil, it.At,
            ArchivedAt: null),
        ({ } rate, TaxRateArchived it) => rate with { ArchivedAt = it.At },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };
}
