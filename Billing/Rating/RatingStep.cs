using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Rating;

public enum StepKind
{
    Flat,
    Units,
    Tier,
    Packages,

    /// <summary>Paid events: of a percentage those within its bounds, of a dynamic price those of one unit amount.</summary>
    Event,

    /// <summary>Events that owe the minimum per event.</summary>
    EventMinimum,

    /// <summary>Events that owe the maximum per event.</summary>
    EventMaximum,

    /// <summary>Events at further prices, those that came to least.</summary>
    OtherEvents,

    /// <summary>Events that brought no price, and cost nothing.</summary>
    Unpriced,

    /// <summary>Units, or amounts of events, that cost nothing.</summary>
    Free,

    /// <summary>Units at one price of the price book.</summary>
    BookPrice,

    /// <summary>Use up to the commitment of its window.</summary>
    Committed,

    /// <summary>Use above the commitment of its window.</summary>
    Overage,

    /// <summary>What of a commitment was not used.</summary>
    TrueUp,

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

    /// <summary>The part of the day that the unit amount holds in; absent where it holds always.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Band { get; init; }

    /// <summary>How many windows the step is summed over.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Windows { get; init; }

    /// <summary>How many events the step is summed over; one that is free in part counts among the free and among the paid.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? Events { get; init; }

    /// <summary>
    /// The units of the step; for shares of amounts, and for use above a committed amount, the amount that the rate or the factor
    /// applies to; for packages, their number; for prices that events bring, their multipliers.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? Quantity { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? UnitAmount { get; init; }

    /// <summary>The entry of the price book that the unit amount is of, and from when to when it holds where no other begins.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PriceId? PriceId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Instant? ValidFrom { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Instant? ValidUntil { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? Rate { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? OverageFactor { get; init; }

    /// <summary>Owed once; for each event where the step is of events.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? FlatAmount { get; init; }

    /// <summary>Exact, in major units.</summary>
    public required decimal Amount { get; init; }
}
