using NodaTime;
using Platform.Billing.Rating;

namespace Platform.Billing.Subscriptions;

/// <summary>From when on how many units of the plan's fee are owed.</summary>
public sealed record FeeStep(Instant From, int Quantity, bool Paused);

/// <summary>
/// The quantity of a subscription and its pauses over time, some of it maybe still to come. A change counts from its time on, also
/// where later changes were there already: of two opinions about one time the newer one holds.
/// </summary>
/// <param name="Steps">In order; each holds until the next.</param>
public sealed record FeeSchedule(IReadOnlyList<FeeStep> Steps)
{
    public static FeeSchedule From(Instant start, int quantity) => new([new(start, quantity, Paused: false)]);

    public FeeStep At(Instant at) => Steps.Last(step => step.From <= at);

    public FeeSchedule WithQuantity(int quantity, Instant from) => Changed(from, step => step with { Quantity = quantity });

    public FeeSchedule WithPause(bool paused, Instant from) => Changed(from, step => step with { Paused = paused });

    /// <summary>The parts of a period, in order; none of one without length.</summary>
    public IReadOnlyList<FeeSpan> Over(BillingPeriod period)
    {
        Instant[] cuts = [period.Start, .. Steps.Select(step => step.From).Where(from => period.Start < from && from < period.End), period.End];
        return
        [
            .. cuts.Zip(cuts.Skip(1)).Where(cut => cut.First < cut.Second)
                .Select(cut => new FeeSpan(new(cut.First, cut.Second), At(cut.First).Quantity, At(cut.First).Paused)),
        ];
    }

    /// <summary>Without what was over before.</summary>
    public FeeSchedule Since(Instant start) => new([At(start), .. Steps.Where(step => step.From > start)]);

    public bool Equals(FeeSchedule? other) => other is not null && Steps.SequenceEqual(other.Steps);

    public override int GetHashCode() => Steps.Count;

    private FeeSchedule Changed(Instant from, Func<FeeStep, FeeStep> change)
    {
        IEnumerable<FeeStep> steps =
        [
            .. Steps.Where(step => step.From < from),
            change(At(from) with { From = from }),
            .. Steps.Where(step => step.From > from).Select(change),
        ];
        var kept = new List<FeeStep>();
        foreach (var step in steps)
        {
            if (kept.Count == 0 || (kept[^1].Quantity, kept[^1].Paused) != (step.Quantity, step.Paused))
                kept.Add(step);
        }

        return new(kept);
    }
}
