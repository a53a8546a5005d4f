using System.Diagnostics;
using Platform.Contracts;

namespace Platform.Billing.Rating;

/// <param name="Amount">Exact, in major units; the sum of the breakdown.</param>
public sealed record Rated(decimal Amount, IReadOnlyList<RatingStep> Breakdown);

/// <param name="Amount">Exact, in major units; the sum of the breakdown. Negative where more was billed before than is owed now.</param>
/// <param name="Rounded">What is posted. The rounded amounts of all slices sum to the rounded whole.</param>
public sealed record RatedSlice(decimal Amount, Money Rounded, IReadOnlyList<RatingStep> Breakdown);

/// <summary>
/// The amount that a price model takes for what was measured, and every step to it. Pure and exact: nothing is rounded until the
/// line. Never negative for terms that <see cref="PriceRules"/> finds no fault with.
/// </summary>
public static class Rate
{
    /// <param name="periodEnd">The period is over, so its minimum is due.</param>
    public static Rated Of(PriceModel price, Measured measured, bool periodEnd)
    {
        List<RatingStep> steps =
        [
            .. price switch
            {
                FlatPrice it => [Step(StepKind.Flat, it.Amount)],
                PerUnitPrice it => PerUnit(it, Billable(it, measured.Quantity)),
                GraduatedPrice it => Graduated(it, Billable(it, measured.Quantity)),
                VolumePrice it => Volume(it, Billable(it, measured.Quantity)),
                PackagePrice it => Packages(it, Billable(it, measured.Quantity)),
                PercentagePrice it => measured.Tallied ?? Percentage(it, measured),
                GraduatedPercentagePrice it => GraduatedPercentage(it, Billable(it, Amount(measured))),
                DynamicPrice it => measured.Tallied ?? EventTally.Of(it, measured.Events),
                BookPrice it => AtBookPrices(it, Windows(measured)),
                WindowedCommitmentPrice it => RateCommitment.Steps(it, Windows(measured), periodEnd),
                _ => throw new UnreachableException($"No rating for {price.GetType().Name}."),
            },
        ];
        if (price.Limits.FreeUnits > 0 && Base(price, measured) is > 0 and var used)
            steps.Add(Step(StepKind.Free, amount: 0) with { Quantity = Exact(Math.Min(used, price.Limits.FreeUnits)) });

        var amount = steps.Sum(step => step.Amount);
        if (periodEnd && price.Limits.MinimumAmount is { } minimum && amount < minimum)
            steps.Add(Step(StepKind.Minimum, minimum - amount));
        else if (price.Limits.MaximumAmount is { } maximum && amount > maximum)
            steps.Add(Step(StepKind.Maximum, maximum - amount));

        return new(Exact(steps.Sum(step => step.Amount)), steps);
    }

    /// <summary>What a part of a period owes: all of the period so far less what its earlier parts took.</summary>
    /// <param name="total">Everything measured in the period so far, what was billed already included.</param>
    /// <param name="alreadyBilled">The amounts of the earlier slices, exact or rounded; 0 where there was none.</param>
    /// <param name="alreadyMeasured">The quantity that they were for, to explain them.</param>
    /// <exception cref="OverflowException">The amount does not fit in 64 bits of minor units.</exception>
    public static RatedSlice Slice(
        PriceModel price, Measured total, bool periodEnd, decimal alreadyBilled, decimal? alreadyMeasured, Currency currency)
    {
        var whole = Of(price, total, periodEnd);

        // Both sides are rounded before they meet: rounding their difference would lose or win a cent over many slices.
        var rounded = Money.Round(whole.Amount, currency) - Money.Round(alreadyBilled, currency);
        return alreadyBilled == 0
            ? new(whole.Amount, rounded, whole.Breakdown)
            : new(
                Exact(whole.Amount - alreadyBilled), rounded,
                [
                    .. whole.Breakdown,
                    Step(StepKind.AlreadyBilled, -alreadyBilled) with { Quantity = alreadyMeasured is { } units ? Exact(units) : null },
                ]);
    }

    private static IEnumerable<RatingStep> PerUnit(PerUnitPrice price, decimal units) =>
        [Step(StepKind.Units, units * price.UnitAmount) with { Quantity = Exact(units), UnitAmount = price.UnitAmount }];

    private static IEnumerable<RatingStep> Graduated(GraduatedPrice price, decimal units) =>
        Entered(units, [.. price.Tiers.Select(tier => tier.UpTo)]).Select(part => price.Tiers[part.Index] is var tier
            ? Step(StepKind.Tier, part.Units * tier.UnitAmount + tier.FlatAmount) with
            {
                Tier = part.Index + 1,
                Quantity = Exact(part.Units),
                UnitAmount = tier.UnitAmount,
                FlatAmount = tier.FlatAmount,
            }
            : throw new UnreachableException());

    private static IEnumerable<RatingStep> GraduatedPercentage(GraduatedPercentagePrice price, decimal amount) =>
        Entered(amount, [.. price.Tiers.Select(tier => tier.UpTo)]).Select(part => price.Tiers[part.Index] is var tier
            ? Step(StepKind.Tier, part.Units * tier.Rate + tier.FlatAmount) with
            {
                Tier = part.Index + 1,
                Quantity = Exact(part.Units),
                Rate = tier.Rate,
                FlatAmount = tier.FlatAmount,
            }
            : throw new UnreachableException());

    private static IEnumerable<RatingStep> Volume(VolumePrice price, decimal units)
    {
        var (index, tier) = price.Tiers.Index().First(it => it.Item.UpTo is not { } end || units <= end);
        return
        [
            Step(StepKind.Tier, units * tier.UnitAmount + tier.FlatAmount) with
            {
                Tier = index + 1,
                Quantity = Exact(units),
                UnitAmount = tier.UnitAmount,
                FlatAmount = tier.FlatAmount,
            },
        ];
    }

    private static IEnumerable<RatingStep> Packages(PackagePrice price, decimal units)
    {
        // Divided with a remainder: the quotient of a third would be rounded, and rounding it up could sell a package too many.
        var rest = units % price.PackageSize;
        var packages = (units - rest) / price.PackageSize + (rest > 0 && price.PackageRounding is PackageRounding.Up ? 1 : 0);
        return
        [
            Step(StepKind.Packages, packages * price.PackageAmount) with
            {
                Quantity = Exact(packages),
                UnitAmount = price.PackageAmount,
            },
        ];
    }

    // A quantity is the amount of we do not know how many events.
    private static IEnumerable<RatingStep> Percentage(PercentagePrice price, Measured measured) => measured.Events.Count == 0
        ? EventTally.Of(price, [new(measured.Quantity)]).Select(step => step with { Events = null })
        : EventTally.Of(price, measured.Events);

    private static IEnumerable<RatingStep> AtBookPrices(BookPrice price, WindowedUse use) => use.Uses
        .DefaultIfEmpty(new(use.Time.Start, Quantity: 0))
        .GroupBy(used => price.Prices.At(used.At))
        .OrderBy(same => same.Min(used => used.At))
        .Select(same => (Booked: same.Key, Units: same.Sum(used => used.Quantity)))
        .Select(it => Step(StepKind.BookPrice, it.Units * it.Booked.UnitAmount / price.UnitSize) with
        {
            Quantity = Exact(it.Units / price.UnitSize),
            UnitAmount = it.Booked.UnitAmount,
            PriceId = it.Booked.PriceId,
            ValidFrom = it.Booked.ValidFrom,
            ValidUntil = it.Booked.ValidUntil,
        });

    // The first tier is entered by nobody's use at all; any other by the first fraction of a unit beyond the one before.
    private static IEnumerable<(int Index, decimal Units)> Entered(decimal units, IReadOnlyList<decimal?> ends)
    {
        var start = 0m;
        foreach (var (index, end) in ends.Index())
        {
            if (index > 0 && units <= start)
                yield break;
            yield return (index, Math.Min(units, end ?? units) - start);
            start = end ?? units;
        }
    }

    private static decimal Billable(PriceModel price, decimal units) => Math.Max(0, units - price.Limits.FreeUnits);

    private static decimal Base(PriceModel price, Measured measured) =>
        price is GraduatedPercentagePrice ? Amount(measured) : measured.Quantity;

    private static decimal Amount(Measured measured) => measured.Events.Count == 0
        ? measured.Quantity
        : measured.Events.Sum(each => (each.Amount ?? 0) * each.Count);

    private static WindowedUse Windows(Measured measured) =>
        measured.Windows ?? throw new InvalidOperationException("A price by windows needs to know when the units were used.");

    internal static RatingStep Step(StepKind kind, decimal amount) => new() { Step = kind, Amount = Exact(amount) };

    // Without trailing zeros, and short enough to be written: the product of two very long numbers has more than 28 digits.
    internal static decimal Exact(decimal value)
    {
        var exact = Decimals.Canonical(value);
        while (exact.Scale > 0 && !Decimals.TryParse(Decimals.Format(exact), out _))
            exact = decimal.Round(exact, exact.Scale - 1, MidpointRounding.AwayFromZero);
        return exact;
    }
}
