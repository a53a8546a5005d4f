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
    Limits Limits) : PriceModel(Limits);

/// <summary>Each part of the amount at the rate of the tier that it lies in, and each entered tier's flat amount.</summary>
public sealed record GraduatedPercentagePrice(IReadOnlyList<RateTier> Tiers, Limits Limits) : PriceModel(Limits);

/// <summary>Each event brings its price: an amount, or a multiplier of <paramref name="UnitAmount"/>.</summary>
public sealed record DynamicPrice(decimal? UnitAmount, Limits Limits) : PriceModel(Limits);

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
    public static Measured Units(decimal quantity) => new(quantity, []);
}

/// <param name="Amount">In major units.</param>
/// <param name="Multiplier">For dynamic prices: of the amount, or of the charge's unit amount where there is none.</param>
public sealed record PricedEvent(decimal? Amount = null, decimal? Multiplier = null);
