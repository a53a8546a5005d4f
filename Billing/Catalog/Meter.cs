using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MeterDefined), "meter.defined.v1")]
[JsonDerivedType(typeof(MeterVersionPublished), "meter.version_published.v1")]
public abstract record MeterEvent;

/// <summary>A meter with its first version.</summary>
/// <param name="Key">The stable name that plans use, for example <c>gpu-time</c>.</param>
public sealed record MeterDefined(
    MeterId MeterId, string Key, string DisplayName, string EventType, Aggregation Aggregation, string? ValueProperty,
    string Unit, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? Percentile = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] TimeUnit? TimeUnit = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<PropertyFilter>? Filters = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Dimensions = null) : MeterEvent
{
    [JsonIgnore]
    public MeterDefinition Definition =>
        new(DisplayName, EventType, Aggregation, ValueProperty, Unit, Percentile, TimeUnit, Filters ?? [], Dimensions ?? []);
}

/// <summary>The meter measures differently from now on; who names an earlier version still gets that.</summary>
/// <param name="Version">2 for the first of these, then without a gap.</param>
public sealed record MeterVersionPublished(MeterId MeterId, int Version, MeterDefinition Definition, Instant At) : MeterEvent;

/// <param name="Definition">The newest version; null before the first.</param>
public sealed record Meter(int LatestVersion, MeterDefinition? Definition) : IEvolve<Meter, MeterEvent>
{
    public static Meter Initial => new(LatestVersion: 0, Definition: null);

    public static StreamId Stream(MeterId meter) => new(TenantId.Operator.Value, "meter", meter.Value);

    public static Meter Evolve(Meter meter, MeterEvent @event) => @event switch
    {
        MeterDefined it => new(LatestVersion: 1, it.Definition),
        MeterVersionPublished it => new(it.Version, it.Definition),
        _ => throw new UnreachableException($"Meter does not know {@event.GetType().Name}."),
    };
}
