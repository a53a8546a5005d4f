using System.Text.Json.Serialization;

namespace Platform.Billing.Rating;

public enum StepKind
{
    Flat,
    Units,
    Tier,
    Packages,

    /// <summary>One paid event.</summary>
    Event,

    /// <summary>Units, or amounts of events, that cost nothing.</summary>
    Free,

    /// <summary>What lacks to the minimum.</summary>
    Minimum,

    /// <summary>What lies above the maximum, as a negative amount.</summary>
    Maximum,

    /// <summary>What earlier slices of the period took, as a negative amount.</summary>
    AlreadyBilled,
}

/// <summary>One step from a quantity to an amount. The amounts of all steps sum to the whole, exactly.</summary>
public sealed record RatingStep
{
    public required StepKind Step { get; init; }

    /// <summary>1 for the first tier.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Tier { get; init; }

    /// <summary>The units of the step; for shares of amounts, the amount that the rate applies to; for packages, their number.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? Quantity { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? UnitAmount { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? Rate { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? FlatAmount { get; init; }

    /// <summary>Exact, in major units.</summary>
    public required decimal Amount { get; init; }
}
