using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Revenue;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CostRatePublished), "cost_rate.published.v1")]
public abstract record CostRateEvent;

/// <summary>What a unit of a meter costs the operator from an instant on. It never changes; a later one takes its place.</summary>
/// <param name="Meter">The meter's key.</param>
/// <param name="MeterVersion">By which quantities are measured.</param>
/// <param name="UnitCost">Exact, in major units.</param>
/// <param name="EffectiveFrom">A whole hour.</param>
public sealed record CostRatePublished(
    CostRateId CostRateId, MeterId MeterId, string Meter, int MeterVersion, Currency Currency, decimal UnitCost, Instant EffectiveFrom,
    Instant At) : CostRateEvent;

public sealed record CostRate(bool Exists) : IEvolve<CostRate, CostRateEvent>
{
    public static CostRate Initial => new(Exists: false);

    public static StreamId Stream(CostRateId rate) => new(TenantId.Operator.Value, "cost_rate", rate.Value);

    public static CostRate Evolve(CostRate rate, CostRateEvent @event) => @event switch
    {
        CostRatePublished => new(Exists: true),
        _ => throw new UnreachableException($"CostRate does not know {@event.GetType().Name}."),
    };
}
