using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>
/// Says what a unit of a meter costs the operator from an hour on, also from one that is over: no invoice depends on it, and what
/// electricity cost is known when its bill comes.
/// </summary>
public static class PublishCostRate
{
    /// <param name="Meter">The key of a meter that sums or counts.</param>
    /// <param name="UnitCost">Exact, in major units.</param>
    /// <param name="Currency">Tenants that are billed in it have this cost.</param>
    /// <param name="EffectiveFrom">A whole hour; the one that runs if absent.</param>
    /// <param name="MeterVersion">By which quantities are measured; the newest one if absent.</param>
    public sealed record NewCostRate(
        string Meter, decimal UnitCost, Currency Currency, Instant? EffectiveFrom = null, int? MeterVersion = null);

    /// <param name="Meter">Null where there is no such meter.</param>
    /// <param name="EffectiveFrom">A whole hour.</param>
    public sealed record Command(CostRateId CostRateId, NewCostRate Rate, MeterView? Meter, Instant EffectiveFrom, Instant At);

    public static Decision<CostRateEvent> Decide(Command command, CostRate rate)
    {
        if (rate.Exists)
            return [];

        var it = command.Rate;
        if (command.Meter is not { } meter)
            return Refusal.Because("cost_rate.meter_unknown", $"There is no meter {it.Meter}.", "meter");
        if (meter.DefinitionOf(it.MeterVersion ?? meter.LatestVersion) is not { } definition)
            return Refusal.Because("cost_rate.meter_unknown", $"The meter has no version {it.MeterVersion}.", "meter_version");
        if (!definition.IsAdditive)
            return Refusal.Because("cost_rate.meter_unfit", $"Costs need a meter that sums or counts; {it.Meter} does not.", "meter");

        return
        [
            new CostRatePublished(
                command.CostRateId, meter.MeterId, meter.Key, it.MeterVersion ?? meter.LatestVersion, it.Currency, it.UnitCost,
                command.EffectiveFrom, command.At),
        ];
    }

    public static void Map(RouteGroupBuilder rates) =>
        rates.MapPost("/", Handle).WithName(nameof(PublishCostRate)).ForOperators().Idempotent();

    private static async Task<Results<Created<CostRateView>, ProblemHttpResult>> Handle(
        NewCostRate request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        var (id, at) = (new CostRateId(requestId.Value), clock.Now());
        var from = request.EffectiveFrom ?? UsagePart.HourOf(at);
        new FieldErrors()
            .Require(!PriceRules.Price("unit_cost", request.UnitCost).Any(), "unit_cost", PriceRules.PriceRule)
            .Require(Hours.IsWhole(from), "effective_from", Hours.Rule)
            .ThrowIfAny();

        var meter = await MeterView.OfKeys(documents, [request.Meter], cancellation) is [var known] ? known : null;
        var decided = await store.Decide<CostRate, CostRateEvent>(
            CostRate.Stream(id), rate => Decide(new(id, request, meter, from, at), rate), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/cost-rates/{id}", (await CostRateView.Find(documents, id, cancellation))!);
    }
}
