using NodaTime;
using NodaTime.Text;
using Platform.Billing.Subscriptions;

namespace Platform.Billing.Rating;

/// <summary>What the use of one window owes, and what its commitment leaves to be owed once it is over.</summary>
/// <param name="Amount">The sum of the breakdown.</param>
public sealed record RatedWindow(Instant Start, Instant End, decimal Quantity, decimal Amount, IReadOnlyList<RatingStep> Breakdown);

/// <summary>
/// Rates use against a commitment, window by window. Within a window the commitment is used up in the order of time, so that only when
/// something was used matters and never when it was reported. Pure and exact.
/// </summary>
public static class RateCommitment
{
    private static readonly LocalTimePattern Minutes = LocalTimePattern.CreateWithInvariantCulture("HH:mm");

    /// <summary>Each window by itself; without what a true-up of the whole period adds.</summary>
    public static IReadOnlyList<RatedWindow> Windows(WindowedCommitmentPrice price, WindowedUse use) =>
        [.. Used(price, use).Select(window => Rated(price, window))];

    /// <summary>All windows together, grouped by band and kind, and the true-up of the period where it is due.</summary>
    internal static IEnumerable<RatingStep> Steps(WindowedCommitmentPrice price, WindowedUse use, bool periodEnd)
    {
        var windows = Used(price, use);
        var unused = periodEnd && price.TrueUp is TrueUp.Period ? OfPeriod(price, [.. windows.Where(window => window.IsOver)]) : null;
        return
        [
            .. windows.SelectMany(window => Rated(price, window).Breakdown.Select(step => (Window: window.Time.Start, Step: step)))
                .GroupBy(it => (it.Step.Step, it.Step.Band, it.Step.UnitAmount, it.Step.OverageFactor))
                .OrderBy(group => group.Key.Step)
                .Select(group => group.First().Step with
                {
                    Windows = group.Select(it => it.Window).Distinct().Count(),
                    Quantity = group.First().Step.Quantity is null ? null : Rate.Exact(group.Sum(it => it.Step.Quantity!.Value)),
                    Amount = Rate.Exact(group.Sum(it => it.Step.Amount)),
                }),
            .. unused is null ? Array.Empty<RatingStep>() : [unused],
        ];
    }

    private static RatedWindow Rated(WindowedCommitmentPrice price, UsedWindow window)
    {
        var (steps, left) = price switch
        {
            { CommittedQuantity: { } units } => OfUnits(price, units, window),
            { CommittedAmount: { } amount } => OfAmount(price, amount, window),
            _ => ([.. window.Parts.Where(part => part.Units > 0).Select(part => Step(StepKind.Units, part, part.Units))], 0),
        };
        if (left > 0 && window.IsOver && price.TrueUp is TrueUp.Window)
            steps.Add(Unused(price, left, window.LowestPrice));

        return new(
            window.Time.Start, window.Time.End, Rate.Exact(window.Units), Rate.Exact(steps.Sum(step => step.Amount)), steps);
    }

    private static (List<RatingStep> Steps, decimal Left) OfUnits(WindowedCommitmentPrice price, decimal left, UsedWindow window)
    {
        var steps = new List<RatingStep>();
        foreach (var part in window.Parts)
        {
            var within = Math.Min(part.Units, left);
            var above = part.Units - within;
            left -= within;
            if (within > 0)
                steps.Add(Step(StepKind.Committed, part, within));
            if (above > 0)
            {
                var unitAmount = price.OverageUnitAmount ?? part.Time.UnitAmount;
                steps.Add(Step(StepKind.Overage, part, above) with
                {
                    UnitAmount = unitAmount,
                    OverageFactor = price.OverageFactor,
                    Amount = Rate.Exact(above * unitAmount * (price.OverageFactor ?? 1)),
                });
            }
        }

        return (steps, left);
    }

    // What an amount buys may be no exact number of units, so the amounts are split, not the units.
    private static (List<RatingStep> Steps, decimal Left) OfAmount(WindowedCommitmentPrice price, decimal left, UsedWindow window)
    {
        var steps = new List<RatingStep>();
        foreach (var part in window.Parts)
        {
            var amount = part.Units * part.Time.UnitAmount;
            var within = Math.Min(amount, left);
            var above = amount - within;
            left -= within;
            if (within > 0 || (part.Units > 0 && above == 0))
                steps.Add(Step(StepKind.Committed, part, part.Units) with { Quantity = null, Amount = Rate.Exact(within) });
            if (above > 0)
            {
                steps.Add(Step(StepKind.Overage, part, above) with
                {
                    UnitAmount = null,
                    OverageFactor = price.OverageFactor,
                    Amount = Rate.Exact(above * (price.OverageFactor ?? 1)),
                });
            }
        }

        return (steps, left);
    }

    private static RatingStep? OfPeriod(WindowedCommitmentPrice price, UsedWindow[] windows)
    {
        var left = price.CommittedQuantity is { } units
            ? units * windows.Length - windows.Sum(window => window.Units)
            : price.CommittedAmount!.Value * windows.Length
                - windows.Sum(window => window.Parts.Sum(part => part.Units * part.Time.UnitAmount));
        return left > 0 ? Unused(price, left, windows.Min(window => window.LowestPrice)) with { Windows = windows.Length } : null;
    }

    // Unused units have no time of day: they cost the lowest price that they could have been used at.
    private static RatingStep Unused(WindowedCommitmentPrice price, decimal left, decimal lowestPrice) =>
        price.CommittedQuantity is null
            ? new() { Step = StepKind.TrueUp, Amount = Rate.Exact(left) }
            : new()
            {
                Step = StepKind.TrueUp,
                Quantity = Rate.Exact(left),
                UnitAmount = lowestPrice,
                Amount = Rate.Exact(left * lowestPrice),
            };

    private static RatingStep Step(StepKind kind, UsedPart part, decimal quantity) => new()
    {
        Step = kind,
        Band = part.Time.Band is { } band ? Name(band) : null,
        Quantity = Rate.Exact(quantity),
        UnitAmount = part.Time.UnitAmount,
        Amount = Rate.Exact(quantity * part.Time.UnitAmount),
    };

    private static string Name(PriceBand band)
    {
        var hours = $"{Minutes.Format(band.From)}-{(band.To == LocalTime.Midnight ? "24:00" : Minutes.Format(band.To))}";
        return band.Days switch
        {
            BandDays.Weekdays => $"weekdays {hours}",
            BandDays.Weekend => $"weekend {hours}",
            _ => hours,
        };
    }

    private static IReadOnlyList<UsedWindow> Used(WindowedCommitmentPrice price, WindowedUse use)
    {
        var parts = CommitmentWindows.Of(price, use.Time, use.Zone);
        var starts = parts.Select(part => part.Time.Start).ToList();
        var units = new decimal[parts.Count];
        foreach (var each in use.Uses)
        {
            var found = starts.BinarySearch(each.At);
            units[found >= 0 ? found : ~found - 1] += each.Quantity;
        }

        return
        [
            .. parts.Zip(units, (time, used) => new UsedPart(time, used))
                .GroupBy(part => part.Time.Window)
                .Select(window => new UsedWindow(window.Key, window.First().Time.IsOver, [.. window])),
        ];
    }

    private readonly record struct UsedPart(PricedTime Time, decimal Units);

    private sealed record UsedWindow(BillingPeriod Time, bool IsOver, IReadOnlyList<UsedPart> Parts)
    {
        public decimal Units => Parts.Sum(part => part.Units);

        public decimal LowestPrice => Parts.Min(part => part.Time.UnitAmount);
    }
}
