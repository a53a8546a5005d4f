using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MeterDefined), "meter.defined.v1")]
public abstract record MeterEvent;

/// <param name="Key">The stable name that plans use, for example <c>gpu-time</c>.</param>
/// <param name="EventType">The type of the usage events that it reads.</param>
/// <param name="ValueProperty">The member of the events' data that it sums; null where it counts events.</param>
/// <param name="Unit">For people and invoices: <c>millisecond</c>, <c>call</c>.</param>
public sealed record MeterDefined(
    MeterId MeterId, string Key, string DisplayName, string EventType, Aggregation Aggregation, string? ValueProperty,
    string Unit, Instant At) : MeterEvent;

/// <summary>How a meter makes one quantity of many events.</summary>
public enum Aggregation
{
    Sum,
    Count,
}

public sealed record Meter(MeterDefined? Definition) : IEvolve<Meter, MeterEvent>
{
    public static Meter Initial => new(Definition: null);

    public static StreamId Stream(MeterId meter) => new(TenantId.Operator.Value, "meter", meter.Value);

    public static Meter Evolve(Meter meter, MeterEvent @event) => @event switch
    {
        MeterDefined defined => new(defined),
        _ => throw new UnreachableException($"Meter does not know {@event.GetType().Name}."),
    };
}
