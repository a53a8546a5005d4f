using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>A cost rate as operators read it; <see cref="CostRatePublished"/> says what its fields mean.</summary>
public sealed record CostRateView(
    CostRateId CostRateId, MeterId MeterId, string Meter, int MeterVersion, Currency Currency, decimal UnitCost, Instant EffectiveFrom,
    Instant PublishedAt)
{
    public const string Table = "cost_rates";

    /// <summary>A time in which one rate of a meter and currency holds.</summary>
    public sealed record Part(CostRateView Rate, BillingPeriod Time);

    /// <summary>
    /// Which rates hold when within a time: each until the next one of its meter and currency begins; of two from one instant the one that
    /// was published later holds. Before the first nothing is known to cost anything. Pure.
    /// </summary>
    public static IReadOnlyList<Part> Cut(IEnumerable<CostRateView> rates, BillingPeriod time) =>
    [
        .. rates.GroupBy(rate => (rate.Meter, rate.Currency)).SelectMany(of =>
        {
            CostRateView[] holding =
            [
                .. of.GroupBy(rate => rate.EffectiveFrom).OrderBy(from => from.Key)
                    .Select(from => from.MaxBy(rate => rate.PublishedAt)!),
            ];
            var ends = holding.Skip(1).Select(next => next.EffectiveFrom).Append(Instant.MaxValue);
            return holding.Zip(ends, (rate, end) => new Part(
                rate, new(Instant.Max(rate.EffectiveFrom, time.Start), Instant.Min(end, time.End))));
        }).Where(part => part.Time.Start < part.Time.End),
    ];

    public static void Map(RouteGroupBuilder rates)
    {
        rates.MapGet("/", List).WithName("ListCostRates").ForOperators();
        rates.MapGet("/{id}", Get).WithName("GetCostRate").ForOperators();
    }

    public static Task<CostRateView?> Find(Documents documents, CostRateId rate, CancellationToken cancellation) =>
        documents.Find(TenantId.Operator.Value, Table, rate.Value, Stored.Json<CostRateView>(), cancellation);

    public static async Task<IReadOnlyList<CostRateView>> All(Documents documents, CancellationToken cancellation)
    {
        var rows = await documents.List(
            TenantId.Operator.Value, Table, Stored.Json<CostRateView>(), limit: int.MaxValue, after: null, newestFirst: false,
            cancellation);
        return [.. rows.Select(row => row.View)];
    }

    private static Task<Ok<Page<CostRateView>>> List(
        [AsParameters] PageQuery page, string? meter, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<CostRateView>(
            TenantId.Operator, Table, page, newestFirst: false, cancellation, "$1::text is null or data ->> 'meter' = $1",
            Sql.Optional(meter));

    private static async Task<Results<Ok<CostRateView>, ProblemHttpResult>> Get(
        CostRateId id, Documents documents, CancellationToken cancellation) =>
        await Find(documents, id, cancellation) is { } rate ? TypedResults.Ok(rate) : Problems.NotFound("cost_rate");
}

public sealed class CostRateProjection : DocumentProjection<CostRateView, CostRateEvent>
{
    public override string Name => CostRateView.Table;

    protected override string Table => CostRateView.Table;

    protected override JsonTypeInfo<CostRateView> Json => Stored.Json<CostRateView>();

    protected override CostRateView? Fold(CostRateView? view, CostRateEvent @event, RecordedEvent recorded) => @event switch
    {
        CostRatePublished it => new(
            it.CostRateId, it.MeterId, it.Meter, it.MeterVersion, it.Currency, it.UnitCost, it.EffectiveFrom, it.At),
        _ => throw new UnreachableException($"CostRateView does not know {@event.GetType().Name}."),
    };
}
