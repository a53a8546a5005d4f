using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.Subscriptions;

namespace Platform.Billing.Rating;

/// <summary>How a quantity, or the amounts of events, becomes an amount. Pure terms: currency, meter and text are the owner's.</summary>
/// <param name="Limits">What holds for any model.</param>
public abstract record PriceModel(Limits Limits);

/// <param name="FreeUnits">The first units that cost nothing; they take no room in tiers or packages.</param>
/// <param name="MinimumAmount">Owed at the end of the period at least, in major units.</param>
/// <param name="MaximumAmount">Never more than that in a period.</param>
public sealed record Limits(decimal FreeUnits = 0, decimal? MinimumAmount = null, decimal? MaximumAmount = null)
{
    public static readonly Limits None = new();
}

/// <summary>The same amount whatever was used.</summary>
public sealed record FlatPrice(decimal Amount, Limits Limits) : PriceModel(Limits);

public sealed record PerUnitPrice(decimal UnitAmount, Limits Limits) : PriceModel(Limits);

/// <summary>Each unit at the price of the tier that it lies in, and each entered tier's flat amount.</summary>
public sealed record GraduatedPrice(IReadOnlyList<Tier> Tiers, Limits Limits) : PriceModel(Limits);

/// <summary>All units at the price of the tier that the last one lies in, and that tier's flat amount.</summary>
public sealed record VolumePrice(IReadOnlyList<Tier> Tiers, Limits Limits) : PriceModel(Limits);

/// <summary>Whole packages only.</summary>
public sealed record PackagePrice(
    decimal PackageSize, decimal PackageAmount, PackageRounding PackageRounding, Limits Limits) : PriceModel(Limits);

/// <summary>A share of each event's amount, and a fixed amount for each event that is not wholly free.</summary>
/// <param name="Rate">A fraction: 0.013 is 1.3 %.</param>
/// <param name="FreeEvents">0 for no such allowance. With a free amount too, the first of both to be used up ends both.</param>
/// <param name="FreeAmount">0 for no such allowance.</param>
/// <param name="PerEventMinimum">For each paid event, its fixed amount included.</param>
public sealed record PercentagePrice(
    decimal Rate, decimal FixedAmount, int FreeEvents, decimal FreeAmount, decimal? PerEventMinimum, decimal? PerEventMaximum,
    Limits Limits) : PriceModel(Limits)
{
    /// <summary>It matters how the amount came about; else its sum is enough.</summary>
    public bool ReadsEvents => FixedAmount > 0 || FreeEvents > 0 || PerEventMinimum > 0 || PerEventMaximum is not null;
}

/// <summary>Each part of the amount at the rate of the tier that it lies in, and each entered tier's flat amount.</summary>
public sealed record GraduatedPercentagePrice(IReadOnlyList<RateTier> Tiers, Limits Limits) : PriceModel(Limits);

/// <summary>Each event's price is the amount that it brings, times its multiplier if it has one, or a multiplier of the unit amount.</summary>
public sealed record DynamicPrice(decimal? UnitAmount, Limits Limits) : PriceModel(Limits);

/// <summary>Each unit at the price that the book had for the tenant when it was used.</summary>
/// <param name="UnitSize">Units of the meter in one unit that the book prices: 3600000 where milliseconds are priced by the hour.</param>
public sealed record BookPrice(PriceTimeline Prices, decimal UnitSize, Limits Limits) : PriceModel(Limits);

/// <summary>
/// At least the commitment is paid for in every window. Use up to it costs its price and use above it the overage; what of it is not
/// used is owed as <paramref name="TrueUp"/> says. Prices may depend on the local time of use.
/// </summary>
/// <param name="UnitAmount">Null where <paramref name="Bands"/> hold the prices.</param>
/// <param name="Bands">Empty, or covering every day of the week once.</param>
/// <param name="CommittedQuantity">Units of each window. Null, as the amount is, where nothing is committed.</param>
/// <param name="CommittedAmount">Instead of units: an amount of each window in major units, used up at the unit prices.</param>
/// <param name="OverageFactor">What use above the commitment is multiplied by, at least 1; null is 1.</param>
/// <param name="OverageUnitAmount">Instead of the factor: the price of each unit above committed units.</param>
public sealed record WindowedCommitmentPrice(
    CommitmentWindow Window, decimal? UnitAmount, IReadOnlyList<PriceBand> Bands, decimal? CommittedQuantity, decimal? CommittedAmount,
    decimal? OverageFactor, decimal? OverageUnitAmount, TrueUp TrueUp, Limits Limits) : PriceModel(Limits)
{
    public bool Commits => CommittedQuantity is not null || CommittedAmount is not null;

    /// <summary>Who commits to something pays for it, unless the terms say otherwise.</summary>
    public static TrueUp UsualTrueUp(decimal? committed) => committed is null ? TrueUp.None : TrueUp.Window;
}

/// <summary>Both in the tenant's zone.</summary>
public enum CommitmentWindow
{
    /// <summary>Counted from the day's first moment, so that a day of 23 or 25 hours has as many.</summary>
    Hour,

    /// <summary>From the day's first moment to the next one's: 23, 24 or 25 hours.</summary>
    Day,
}

/// <summary>How the unused part of a commitment is owed.</summary>
public enum TrueUp
{
    /// <summary>Of every window by itself, once it is over.</summary>
    Window,

    /// <summary>Once for the period, at its end: what was committed in all its windows less what was used in them.</summary>
    Period,

    /// <summary>Not at all.</summary>
    None,
}

/// <summary>A price for a part of the local day.</summary>
/// <param name="From">In whole minutes, included.</param>
/// <param name="To">Excluded; midnight is the day's end. Not after <paramref name="From"/>, the band goes over midnight.</param>
/// <param name="UnitAmount">Exact price of one unit, in major units.</param>
/// <param name="Days">By the date of each moment: a band of weekdays over midnight ends with Friday.</param>
public sealed record PriceBand(
    LocalTime From, LocalTime To, decimal UnitAmount,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] BandDays Days = BandDays.All);

public enum BandDays
{
    All,

    /// <summary>Monday to Friday.</summary>
    Weekdays,

    /// <summary>Saturday and Sunday.</summary>
    Weekend,
}

/// <param name="UpTo">The last quantity of the tier, included; null for the last tier and only there.</param>
/// <param name="UnitAmount">Exact price of one unit, in major units.</param>
/// <param name="FlatAmount">Owed once when the tier is entered.</param>
public sealed record Tier(decimal? UpTo, decimal UnitAmount, decimal FlatAmount = 0);

/// <param name="UpTo">The last amount of the tier, included; null for the last tier and only there.</param>
/// <param name="Rate">A fraction: 0.013 is 1.3 %.</param>
public sealed record RateTier(decimal? UpTo, decimal Rate, decimal FlatAmount = 0);

public enum PackageRounding
{
    /// <summary>A begun package is paid whole.</summary>
    Up,

    /// <summary>A begun package is not paid.</summary>
    Down,
}

/// <summary>What is to be rated.</summary>
/// <param name="Quantity">The units of the period so far; for shares of amounts without events, the amount.</param>
/// <param name="Events">What percentage, graduated percentage and dynamic prices read; their order never matters.</param>
public sealed record Measured(decimal Quantity, IReadOnlyList<PricedEvent> Events)
{
    /// <summary>What prices read that depend on the time of use.</summary>
    public WindowedUse? Windows { get; init; }

    /// <summary>Instead of events: the steps that they come to by the very price, from where they were tallied as they were read.</summary>
    public IReadOnlyList<RatingStep>? Tallied { get; init; }

    public static Measured Units(decimal quantity) => new(quantity, []);
}

/// <summary>When units were used.</summary>
/// <param name="Time">What has run so far: a window is over where its end lies within.</param>
/// <param name="Zone">The tenant's.</param>
/// <param name="Uses">In any order; several of one time add up.</param>
public sealed record WindowedUse(BillingPeriod Time, DateTimeZone Zone, IReadOnlyList<TimedUse> Uses);

/// <param name="At">Any moment of the window, and of the band in it, that the units belong to.</param>
public readonly record struct TimedUse(Instant At, decimal Quantity);

/// <param name="Amount">In major units.</param>
/// <param name="Multiplier">For dynamic prices: of the amount, or of the charge's unit amount where there is none.</param>
/// <param name="Count">How many equal events it stands for.</param>
public sealed record PricedEvent(
    decimal? Amount = null, decimal? Multiplier = null,
    [property: JsonNumberHandling(JsonNumberHandling.AllowReadingFromString)] long Count = 1);
