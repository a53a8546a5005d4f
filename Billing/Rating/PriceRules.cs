using System.Globalization;

namespace Platform.Billing.Rating;

/// <param name="Field">Below the charge: <c>tiers[1].up_to</c>.</param>
/// <param name="Problem">A sentence for people.</param>
public readonly record struct PriceFault(string Field, string Problem);

/// <summary>Which terms of a price make sense. Terms without a fault can be rated for any quantity that is not negative.</summary>
public static class PriceRules
{
    public const string PriceRule = "A price is not negative, below 1000000000 and has at most 12 decimals.";

    private const int TiersMax = 100;

    /// <summary>Also which of a charge's terms do not go together.</summary>
    public static IEnumerable<PriceFault> Faults(Charge charge) =>
        [.. charge is DynamicCharge dynamic ? OfSource(dynamic) : [], .. Faults(charge.ToPrice())];

    public static IEnumerable<PriceFault> Faults(PriceModel price) =>
    [
        .. price switch
        {
            FlatPrice it => Amount("amount", it.Amount),
            PerUnitPrice it => Price("unit_amount", it.UnitAmount),
            GraduatedPrice it => OfTiers(it.Tiers),
            VolumePrice it => OfTiers(it.Tiers),
            PackagePrice it =>
            [
                .. Amount("package_amount", it.PackageAmount),
                .. Quantity("package_size", it.PackageSize),
                .. When(it.PackageSize == 0, "package_size", "A package holds something."),
            ],
            PercentagePrice it => OfPercentage(it),
            GraduatedPercentagePrice it =>
            [
                .. Ends([.. it.Tiers.Select(tier => tier.UpTo)]),
                .. it.Tiers.Index().SelectMany(tier => Share($"tiers[{tier.Index}].rate", tier.Item.Rate)),
                .. it.Tiers.Index().SelectMany(tier => Amount($"tiers[{tier.Index}].flat_amount", tier.Item.FlatAmount)),
            ],
            DynamicPrice it => Price("unit_amount", it.UnitAmount),
            BookPrice it =>
            [
                .. Quantity("unit_size", it.UnitSize),
                .. When(it.UnitSize == 0, "unit_size", "A priced unit holds something."),
            ],
            WindowedCommitmentPrice it => OfCommitment(it),
            _ => throw new System.Diagnostics.UnreachableException($"No rules for {price.GetType().Name}."),
        },
        .. Quantity("free_units", price.Limits.FreeUnits),
        .. When(
            price is FlatPrice or PercentagePrice or DynamicPrice or BookPrice && price.Limits.FreeUnits != 0, "free_units",
            "This model counts no units."),
        .. When(
            price is WindowedCommitmentPrice && price.Limits.FreeUnits != 0, "free_units",
            "Free units belong to no window; lower the commitment instead."),
        .. Amount("minimum_amount", price.Limits.MinimumAmount),
        .. Amount("maximum_amount", price.Limits.MaximumAmount),
        .. When(
            price.Limits.MaximumAmount < price.Limits.MinimumAmount, "maximum_amount", "The maximum is not below the minimum."),
    ];

    internal static IEnumerable<PriceFault> Quantity(string field, decimal? quantity) => When(
        quantity is { } it && (it is < 0 or >= 1_000_000_000_000_000 || it.Scale > 9), field,
        "A quantity is not negative, below 1000000000000000 and has at most 9 decimals.");

    internal static IEnumerable<PriceFault> Amount(string field, decimal? amount) => When(
        amount is { } it && (it is < 0 or >= 1_000_000_000_000 || it.Scale > 12), field,
        "An amount is not negative, below 1000000000000 and has at most 12 decimals.");

    internal static IEnumerable<PriceFault> When(bool wrong, string field, string problem) =>
        wrong ? [new(field, problem)] : [];

    internal static IEnumerable<PriceFault> Price(string field, decimal? price) => When(
        price is { } it && (it is < 0 or >= 1_000_000_000 || it.Scale > 12), field, PriceRule);

    private static IEnumerable<PriceFault> Share(string field, decimal rate) => When(
        rate is < 0 or > 1 || rate.Scale > 12, field, "A rate is a fraction from 0 to 1 with at most 12 decimals: 0.013 is 1.3 %.");

    private static IEnumerable<PriceFault> OfPercentage(PercentagePrice price) =>
    [
        .. Share("rate", price.Rate),
        .. Amount("fixed_amount", price.FixedAmount),
        .. When(price.FreeEvents < 0, "free_events", "A number of events is not negative."),
        .. Amount("free_amount", price.FreeAmount),
        .. Amount("per_event_minimum", price.PerEventMinimum),
        .. Amount("per_event_maximum", price.PerEventMaximum),
        .. When(price.PerEventMaximum < price.PerEventMinimum, "per_event_maximum", "The maximum is not below the minimum."),
    ];

    private static IEnumerable<PriceFault> OfSource(DynamicCharge charge) =>
    [
        .. When(
            charge is { PriceKey: null, AmountProperty: null, UnitAmount: null }, "price_key",
            "A price is needed: price_key of the price book, amount_property of the events, or unit_amount with multiplier_property."),
        .. When(charge is { PriceKey: not null, AmountProperty: not null }, "amount_property", "The price book has the price."),
        .. When(charge is { PriceKey: not null, MultiplierProperty: not null }, "multiplier_property", "The price book has the price."),
        .. When(charge is { PriceKey: not null, UnitAmount: not null }, "unit_amount", "The price book has the price."),
        .. When(charge is { AmountProperty: not null, UnitAmount: not null }, "unit_amount", "The events bring the amount."),
        .. When(
            charge is { UnitAmount: not null, PriceKey: null, AmountProperty: null, MultiplierProperty: null }, "multiplier_property",
            "A unit amount is multiplied by what each event says."),
        .. When(charge is { PriceKey: null, UnitSize: not null }, "unit_size", "Only a price of the book is for units of a size."),
        .. Member("amount_property", charge.AmountProperty),
        .. Member("multiplier_property", charge.MultiplierProperty),
        .. When(
            charge.AmountProperty is not null && charge.AmountProperty == charge.MultiplierProperty, "multiplier_property",
            "An amount is not multiplied by itself."),
    ];

    private static IEnumerable<PriceFault> Member(string field, string? name) => When(
        name is { Length: 0 or > 100 } || name?.Any(char.IsControl) == true, field,
        "A member of the events' data, 1 to 100 characters.");

    private static IEnumerable<PriceFault> OfCommitment(WindowedCommitmentPrice price) =>
    [
        .. When(price.UnitAmount is null == (price.Bands.Count == 0), "unit_amount", "Either a unit amount or bands are needed."),
        .. Price("unit_amount", price.UnitAmount),
        .. price.Bands.Count == 0 ? [] : OfBands(price.Bands),
        .. Quantity("committed_quantity", price.CommittedQuantity),
        .. When(price.CommittedQuantity == 0, "committed_quantity", "A commitment is above 0."),
        .. Amount("committed_amount", price.CommittedAmount),
        .. When(price.CommittedAmount == 0, "committed_amount", "A commitment is above 0."),
        .. When(
            price is { CommittedQuantity: not null, CommittedAmount: not null }, "committed_amount",
            "Either units or an amount are committed."),

        // A factor below 1 would make later use cheaper by earlier use, so that a late report could lower what was billed.
        .. When(
            price.OverageFactor is { } factor && (factor is < 1 or > 1000 || factor.Scale > 12), "overage_factor",
            "An overage factor is from 1 to 1000 with at most 12 decimals."),
        .. When(price is { OverageFactor: not null, Commits: false }, "overage_factor", "Without a commitment there is no overage."),
        .. Price("overage_unit_amount", price.OverageUnitAmount),
        .. When(
            price is { OverageUnitAmount: not null, CommittedQuantity: null }, "overage_unit_amount",
            "Only use above committed units has a price of its own."),
        .. When(
            price is { OverageUnitAmount: not null, OverageFactor: not null }, "overage_unit_amount",
            "Overage has either a factor or a price."),
        .. When(
            price.OverageUnitAmount < price.UnitAmount || price.Bands.Any(band => price.OverageUnitAmount < band.UnitAmount),
            "overage_unit_amount", "Overage is not cheaper than use within the commitment."),
        .. When(price is { TrueUp: not TrueUp.None, Commits: false }, "true_up", "Without a commitment nothing is left of it."),
    ];

    private static IEnumerable<PriceFault> OfBands(IReadOnlyList<PriceBand> bands) =>
    [
        .. When(bands.Count > CommitmentWindows.BandsMax, "bands", $"At most {CommitmentWindows.BandsMax} bands."),
        .. bands.Index().SelectMany(band => Price($"bands[{band.Index}].unit_amount", band.Item.UnitAmount)),
        .. Coverage(bands, BandDays.Weekdays, "on weekdays"),
        .. Coverage(bands, BandDays.Weekend, "on a weekend"),
    ];

    private static IEnumerable<PriceFault> Coverage(IReadOnlyList<PriceBand> bands, BandDays days, string when)
    {
        var parts = CommitmentWindows.PartsOfDay(bands, days);
        if (parts.Count == 0)
            return [new("bands", $"Bands cover the whole day, also {when}.")];

        var broken = parts.Zip(parts.Skip(1)).Where(it => it.First.ToMinute != it.Second.FromMinute).Select(it => it.Second.Band);
        return
        [
            .. When(parts[0].FromMinute != 0, $"bands[{parts[0].Band}].from", $"No band begins at 00:00 {when}."),
            .. broken.Select(band => new PriceFault(
                $"bands[{band}].from", $"The band before it {when} ends at another time: bands cover the day without gap or overlap.")),
            .. When(
                parts.Max(part => part.ToMinute) != CommitmentWindows.MinutesOfDay, $"bands[{parts[^1].Band}].to",
                $"No band ends at 24:00 {when}."),
        ];
    }

    private static IEnumerable<PriceFault> OfTiers(IReadOnlyList<Tier> tiers) =>
    [
        .. Ends([.. tiers.Select(tier => tier.UpTo)]),
        .. tiers.Index().SelectMany(tier => Price($"tiers[{tier.Index}].unit_amount", tier.Item.UnitAmount)),
        .. tiers.Index().SelectMany(tier => Amount($"tiers[{tier.Index}].flat_amount", tier.Item.FlatAmount)),
    ];

    private static IEnumerable<PriceFault> Ends(IReadOnlyList<decimal?> ends)
    {
        if (ends.Count is 0 or > TiersMax)
            yield return new("tiers", string.Create(CultureInfo.InvariantCulture, $"1 to {TiersMax} tiers are needed."));

        var start = 0m;
        foreach (var (index, end) in ends.Index())
        {
            var field = $"tiers[{index}].up_to";
            var isLast = index == ends.Count - 1;
            if (end is null && !isLast)
                yield return new(field, "Only the last tier is without an end.");
            if (end is not null && isLast)
                yield return new(field, "The last tier has no end: null.");
            if (end <= start)
                yield return new(field, "A tier ends above the one before it, and the first above 0.");
            foreach (var fault in Quantity(field, end))
                yield return fault;
            start = end ?? start;
        }
    }
}
