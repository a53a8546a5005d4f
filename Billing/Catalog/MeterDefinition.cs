using System.Text.Json.Serialization;
using Platform.Billing.Usage;
using Platform.Contracts;

namespace Platform.Billing.Catalog;

/// <summary>How a meter makes one quantity of many events. Of no events at all, every quantity is 0.</summary>
public enum Aggregation
{
    Sum,
    Count,
    Max,

    /// <summary>The value of the newest event by time; of two at one moment, of the one that the ledger took later.</summary>
    Latest,

    /// <summary>How many different texts the value property has.</summary>
    UniqueCount,

    /// <summary>Rounded half up to 12 decimals.</summary>
    Average,

    /// <summary>Nearest rank: the smallest value that at least <c>percentile</c> percent of the values do not exceed.</summary>
    Percentile,

    /// <summary>
    /// A gauge's value times how long it held: from its event to the next one, or to the end of the window. The level at the start
    /// of a window is carried over from before it. Each combination of the meter's dimensions is a gauge of its own. Rounded half
    /// up to 12 decimals.
    /// </summary>
    WeightedSum,
}

/// <summary>What the durations of a weighted sum are counted in.</summary>
public enum TimeUnit
{
    Second,
    Hour,
}

public readonly record struct MeterVersionId(MeterId Meter, int Version)
{
    public override string ToString() => $"{Meter}/{Version}";
}

/// <summary>One version of a meter; it never changes.</summary>
/// <param name="EventType">The type of the usage events that it reads; the same in all versions.</param>
/// <param name="ValueProperty">The member of the events' data that it measures; null where it counts events.</param>
/// <param name="Unit">For people and invoices: <c>millisecond</c>, <c>call</c>.</param>
/// <param name="Percentile">Above 0, up to 100; only and always with <c>percentile</c>.</param>
/// <param name="TimeUnit">Only and always with <c>weighted_sum</c>.</param>
/// <param name="Filters">All must hold.</param>
/// <param name="Dimensions">Members of the data by which usage can be asked for.</param>
public sealed record MeterDefinition(
    string DisplayName, string EventType, Aggregation Aggregation, string? ValueProperty, string Unit, decimal? Percentile,
    TimeUnit? TimeUnit, IReadOnlyList<PropertyFilter> Filters, IReadOnlyList<string> Dimensions)
{
    public const int DimensionsMax = 4;

    /// <summary>The quantities of the parts of a time sum to the quantity of the whole.</summary>
    [JsonIgnore]
    public bool IsAdditive => Aggregation is Aggregation.Sum or Aggregation.Count;

    /// <summary>Quantities of any time come exactly of sums and numbers of events by the hour.</summary>
    [JsonIgnore]
    public bool RollsUp => IsAdditive || Aggregation is Aggregation.Average;

    /// <summary>The value property holds decimals.</summary>
    [JsonIgnore]
    public bool ReadsQuantity => Aggregation is not (Aggregation.Count or Aggregation.UniqueCount);

    public bool Passes(IReadOnlyDictionary<string, string> data) => Filters.All(filter => filter.Passes(data));

    /// <summary>What it measures of an event; null where it reads no quantity, or the event has none.</summary>
    public decimal? QuantityOf(IReadOnlyDictionary<string, string> data) =>
        ReadsQuantity && data.TryGetValue(ValueProperty!, out var text) && UsageLimits.TryReadQuantity(text, out var quantity)
            ? quantity
            : null;

    // By content, so that the same definition again is no new version of a meter.
    public bool Equals(MeterDefinition? other) =>
        other is not null && DisplayName == other.DisplayName && EventType == other.EventType && Aggregation == other.Aggregation
        && ValueProperty == other.ValueProperty && Unit == other.Unit && Percentile == other.Percentile
        && TimeUnit == other.TimeUnit && Filters.SequenceEqual(other.Filters) && Dimensions.SequenceEqual(other.Dimensions);

    public override int GetHashCode() =>
        HashCode.Combine(DisplayName, EventType, Aggregation, ValueProperty, Unit, Percentile, Filters.Count, Dimensions.Count);
}
