using System.Text.Json.Serialization;

namespace Platform.Billing.Rating;

/// <summary>
/// What a plan takes for the quantity of one meter in a billing period by the calendar. <c>model</c> on the wire chooses the case.
/// Most read nothing but quantities and their time; see <see cref="ReadsOfEvents"/> for those that read events.
/// </summary>
/// <param name="Meter">The meter's key.</param>
/// <param name="DisplayName">The text of the invoice line.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "model")]
[JsonDerivedType(typeof(PerUnitCharge), "per_unit")]
[JsonDerivedType(typeof(FlatCharge), "flat")]
[JsonDerivedType(typeof(GraduatedCharge), "graduated")]
[JsonDerivedType(typeof(VolumeCharge), "volume")]
[JsonDerivedType(typeof(PackageCharge), "package")]
[JsonDerivedType(typeof(PercentageCharge), "percentage")]
[JsonDerivedType(typeof(GraduatedPercentageCharge), "graduated_percentage")]
[JsonDerivedType(typeof(WindowedCommitmentCharge), "windowed_commitment")]
[JsonDerivedType(typeof(DynamicCharge), "dynamic")]
public abstract record Charge(string Meter, string DisplayName)
{
    /// <summary>
    /// The version of the meter that the charge reads; in a request null is the newest one, and what is stored names one. Billing
    /// goes on with it whatever versions the meter gets later. Null in what was stored before meters had versions: the first.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? MeterVersion { get; init; }

    /// <summary>The category of products by which it is taxed; the plan's where it names none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TaxCategory { get; init; }

    /// <summary>The first units of each billing period that cost nothing.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? FreeUnits { get; init; }

    /// <summary>Owed for each billing period at least, in major units of the plan's currency.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? MinimumAmount { get; init; }

    /// <summary>Never more than that in a billing period.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public decimal? MaximumAmount { get; init; }

    protected Limits Limits => new(FreeUnits ?? 0, MinimumAmount, MaximumAmount);

    /// <summary>The terms as rating reads them.</summary>
    public abstract PriceModel ToPrice();

    /// <summary>What the price reads of each event; null where quantities and their time are enough.</summary>
    /// <param name="value">The member of the events' data that the meter measures, if it measures one.</param>
    public virtual EventPrices? ReadsOfEvents(string? value) => null;
}

/// <param name="UnitPrice">Exact price of one unit of the meter in the plan's currency, at most 12 decimals.</param>
public sealed record PerUnitCharge(string Meter, string DisplayName, decimal UnitPrice) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new PerUnitPrice(UnitPrice, Limits);
}

/// <param name="Amount">For each billing period, whatever was used.</param>
public sealed record FlatCharge(string Meter, string DisplayName, decimal Amount) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new FlatPrice(Amount, Limits);
}

/// <param name="Tiers">By their end; only the last is without one.</param>
public sealed record GraduatedCharge(string Meter, string DisplayName, IReadOnlyList<Tier> Tiers) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new GraduatedPrice(Tiers, Limits);

    // By content, so that the same terms again are no new version of a plan.
    public bool Equals(GraduatedCharge? other) => base.Equals(other) && Tiers.SequenceEqual(other.Tiers);

    public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Tiers.Count);
}

/// <param name="Tiers">By their end; only the last is without one. More use never costs less.</param>
public sealed record VolumeCharge(string Meter, string DisplayName, IReadOnlyList<Tier> Tiers) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new VolumePrice(Tiers, Limits);

    public bool Equals(VolumeCharge? other) => base.Equals(other) && Tiers.SequenceEqual(other.Tiers);

    public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Tiers.Count);
}

/// <param name="PackageSize">Units in a package.</param>
/// <param name="PackageAmount">Price of a package.</param>
public sealed record PackageCharge(
    string Meter, string DisplayName, decimal PackageSize, decimal PackageAmount,
    PackageRounding PackageRounding = PackageRounding.Up) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new PackagePrice(PackageSize, PackageAmount, PackageRounding, Limits);
}

/// <summary>
/// Of a meter whose quantity is an amount in the plan's currency, such as the sum of what was sold. With a fixed amount, free events or
/// bounds per event the meter sums, and its value is each event's amount.
/// </summary>
/// <param name="Rate">A fraction: 0.013 is 1.3 %.</param>
/// <param name="FreeAmount">The first part of each billing period's amount that costs nothing.</param>
/// <param name="FixedAmount">For each event that is not wholly free.</param>
/// <param name="FreeEvents">
/// So many of each billing period's events cost nothing, the smallest. With a free amount too, the first of both to be used up ends both.
/// </param>
/// <param name="PerEventMinimum">For each paid event, its fixed amount included.</param>
/// <param name="PerEventMaximum">For each paid event, its fixed amount included.</param>
public sealed record PercentageCharge(
    string Meter, string DisplayName, decimal Rate,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? FreeAmount = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? FixedAmount = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull), JsonNumberHandling(JsonNumberHandling.AllowReadingFromString)]
    int? FreeEvents = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? PerEventMinimum = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? PerEventMaximum = null) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() =>
        new PercentagePrice(Rate, FixedAmount ?? 0, FreeEvents ?? 0, FreeAmount ?? 0, PerEventMinimum, PerEventMaximum, Limits);

    public override EventPrices? ReadsOfEvents(string? value) =>
        ToPrice() is PercentagePrice { ReadsEvents: true } price ? new(price, value, Multiplier: null) : null;
}

/// <summary>Of a meter whose quantity is an amount in the plan's currency.</summary>
/// <param name="Tiers">By their end; only the last is without one.</param>
public sealed record GraduatedPercentageCharge(string Meter, string DisplayName, IReadOnlyList<RateTier> Tiers)
    : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new GraduatedPercentagePrice(Tiers, Limits);

    public bool Equals(GraduatedPercentageCharge? other) => base.Equals(other) && Tiers.SequenceEqual(other.Tiers);

    public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Tiers.Count);
}

/// <summary>Of a meter that sums or counts. Either a unit amount or bands; at most one kind of commitment, and of overage.</summary>
/// <param name="OverageFactor">1 where it is left out.</param>
/// <param name="TrueUp">By window where it is left out and something is committed.</param>
public sealed record WindowedCommitmentCharge(
    string Meter, string DisplayName, CommitmentWindow Window,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? UnitAmount = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<PriceBand>? Bands = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? CommittedQuantity = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? CommittedAmount = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? OverageFactor = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? OverageUnitAmount = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] TrueUp? TrueUp = null) : Charge(Meter, DisplayName)
{
    public override PriceModel ToPrice() => new WindowedCommitmentPrice(
        Window, UnitAmount, Bands ?? [], CommittedQuantity, CommittedAmount, OverageFactor, OverageUnitAmount,
        TrueUp ?? WindowedCommitmentPrice.UsualTrueUp(CommittedQuantity ?? CommittedAmount), Limits);

    public bool Equals(WindowedCommitmentCharge? other) =>
        base.Equals(other) && Window == other.Window && UnitAmount == other.UnitAmount && (Bands ?? []).SequenceEqual(other.Bands ?? [])
        && CommittedQuantity == other.CommittedQuantity && CommittedAmount == other.CommittedAmount
        && OverageFactor == other.OverageFactor && OverageUnitAmount == other.OverageUnitAmount && TrueUp == other.TrueUp;

    public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Window, UnitAmount, CommittedQuantity, CommittedAmount);
}

/// <summary>
/// Of a meter that sums or counts. Either each unit at the price that the price book had for the tenant when it was used
/// (<c>price_key</c>), or each event at the price that it brings (<c>amount_property</c>, or <c>unit_amount</c> times
/// <c>multiplier_property</c>).
/// </summary>
/// <param name="PriceKey">The key of the prices, which are in the plan's currency.</param>
/// <param name="UnitSize">Units of the meter in one priced unit, 1 where it is left out: 3600000 for milliseconds priced by the hour.</param>
/// <param name="AmountProperty">The member of the events' data that holds what the event costs, in major units of the plan's currency.</param>
/// <param name="MultiplierProperty">The member that holds what the amount, or the unit amount, is multiplied by.</param>
/// <param name="UnitAmount">What each event's multiplier multiplies, where events bring no amount.</param>
public sealed record DynamicCharge(
    string Meter, string DisplayName,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? PriceKey = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? UnitSize = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? AmountProperty = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? MultiplierProperty = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? UnitAmount = null) : Charge(Meter, DisplayName)
{
    /// <summary>Looked up for one tenant when its use is rated; no part of the terms.</summary>
    [JsonIgnore]
    public PriceTimeline Prices { get; init; } = PriceTimeline.Empty;

    public override PriceModel ToPrice() =>
        PriceKey is null ? new DynamicPrice(UnitAmount, Limits) : new BookPrice(Prices, UnitSize ?? 1, Limits);

    public override EventPrices? ReadsOfEvents(string? value) =>
        PriceKey is null ? new(ToPrice(), AmountProperty, MultiplierProperty) : null;
}
