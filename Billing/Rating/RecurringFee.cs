using System.Diagnostics;
using System.Globalization;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Rating;

/// <summary>A part of a billing period with one quantity.</summary>
/// <param name="Quantity">How many times the fee is.</param>
/// <param name="Paused">No fee is owed.</param>
public sealed record FeeSpan(BillingPeriod Window, int Quantity, bool Paused = false)
{
    public int Owed => Paused ? 0 : Quantity;
}

/// <summary>A fee that was billed when its window began.</summary>
public sealed record PrepaidFee(int Quantity, BillingPeriod Window);

/// <summary>What decides which fee a period owes when it ends.</summary>
/// <param name="Spans">All of the period, in order.</param>
/// <param name="Prepaid">What was billed of it in advance, or of more than it where the period ends early.</param>
/// <param name="KeepsUnused">Where the plan ends before the prepaid time does: the rest of it does not come back.</param>
/// <param name="IsTrial">Nothing is owed.</param>
public sealed record FeeBasis(
    IReadOnlyList<FeeSpan> Spans, PrepaidFee? Prepaid = null, bool KeepsUnused = false, bool IsTrial = false);

/// <summary>
/// Lines of the recurring fee. A span owes what its quantity comes to at its end less what it comes to at its start, both rounded, so
/// that equal spans sum to the whole to the minor unit wherever the period was cut. What was billed in advance is taken off in the
/// same way; so what a period owes in all does not depend on when its fee is billed. Pure.
/// </summary>
public static class RecurringFee
{
    // A fee per day or second rarely has an end; the line's amount comes from the whole fee, this only explains it.
    private const int UnitDecimals = 10;

    // A part of the fee: what is owed of it and what was billed in advance.
    private sealed record Part(BillingPeriod Window, int Owed, int Prepaid, string Why = "");

    /// <param name="period">What ends: a whole billing period or a slice of one.</param>
    /// <param name="whole">The billing period by the calendar that it lies in.</param>
    /// <param name="planEnds">The plan bills nothing after <paramref name="period"/>, so an unused part of a prepaid fee comes back.</param>
    public static IReadOnlyList<RatedLine> Lines(
        PlanTerms terms, BillingPeriod period, BillingPeriod whole, DateTimeZone zone, FeeBasis fee, bool planEnds)
    {
        if (fee.IsTrial)
        {
            return
            [
                new(
                    LineKind.RecurringFee, terms.DisplayName, Meter: null, Quantity: 1, "period", UnitAmount: 0,
                    Money.Zero(terms.Currency), period),
            ];
        }

        if (terms.RecurringFee.MinorUnits == 0 || fee.Spans.Count == 0)
            return [];

        var share = new Share(terms, whole, zone);
        var parts = terms.Proration == Proration.None ? Unprorated(period, fee, share) : Prorated(period, fee, planEnds);
        // The day of several changes belongs to the last of them; a period within one day has a line all the same.
        var lasting = parts.Where(part => share.Of(part.Window) != 0).ToList();
        return
        [
            .. (lasting.Count > 0 ? lasting : parts.TakeLast(1))
                .Where(part => part.Owed != part.Prepaid || part is { Owed: 0, Prepaid: 0 })
                .Select(part => Line(terms, share, part)),
        ];
    }

    /// <summary>The fee of a time that begins.</summary>
    public static IReadOnlyList<RatedLine> InAdvance(PlanTerms terms, PrepaidFee fee, BillingPeriod whole, DateTimeZone zone) =>
        terms.RecurringFee.MinorUnits == 0
            ? []
            : [Line(terms, new(terms, whole, zone), new(fee.Window, fee.Quantity, Prepaid: 0))];

    private static List<Part> Prorated(BillingPeriod period, FeeBasis fee, bool planEnds)
    {
        var prepaid = fee.Prepaid?.Quantity ?? 0;
        List<Part> parts = [.. fee.Spans.Select(span => new Part(span.Window, span.Owed, prepaid, span.Paused ? "paused" : ""))];
        if (planEnds && !fee.KeepsUnused && fee.Prepaid is { } paid && paid.Window.End > period.End)
            parts.Add(new(new(period.End, paid.Window.End), Owed: 0, prepaid, "unused"));
        return parts;
    }

    // Nothing comes back of a fee that is owed as a whole, and a larger quantity owes the difference as a whole.
    private static List<Part> Unprorated(BillingPeriod period, FeeBasis fee, Share share)
    {
        var prepaid = fee.Prepaid?.Quantity ?? 0;
        var most = fee.Spans.Where((span, index) => index == fee.Spans.Count - 1 || share.Days(span.Window) > 0).Max(span => span.Owed);
        return [new(period, Math.Max(most, prepaid), prepaid, most == 0 ? "paused" : "")];
    }

    private static RatedLine Line(PlanTerms terms, Share share, Part part)
    {
        var (units, times, fee) = (share.Of(part.Window), part.Owed - part.Prepaid, terms.RecurringFee.Amount);
        var amount = share.Owed(part.Owed, part.Window) - share.Owed(part.Prepaid, part.Window);
        string[] words =
        [
            terms.DisplayName,
            .. part switch
            {
                { Owed: 0 } => new[] { part.Why },
                { Prepaid: > 0 } => [string.Create(CultureInfo.InvariantCulture, $"quantity {part.Owed} instead of {part.Prepaid}")],
                { Owed: > 1 } => [string.Create(CultureInfo.InvariantCulture, $"quantity {part.Owed}")],
                _ => [],
            },
        ];

        return units == share.All
            ? new(
                LineKind.RecurringFee, string.Join(", ", words), Meter: null, times, "period", fee, amount, part.Window)
            : new(
                LineKind.RecurringFee,
                string.Join(", ", [.. words, string.Create(CultureInfo.InvariantCulture, $"{units:0.######} of {share.All:0.######} {share.Unit}s")]),
                Meter: null, Decimals.Canonical(units * times), share.Unit, decimal.Round(fee / share.All, UnitDecimals), amount, part.Window);
    }

    /// <summary>How much of a whole period lies in a window, by the plan's rule.</summary>
    private sealed class Share(PlanTerms terms, BillingPeriod whole, DateTimeZone zone)
    {
        public string Unit => terms.Proration switch
        {
            Proration.None => "period",
            Proration.Days => "day",
            Proration.Seconds => "second",
            _ => throw new UnreachableException($"No proration {terms.Proration}."),
        };

        public decimal All => terms.Proration == Proration.None ? 1 : Since(whole.End);

        public decimal Of(BillingPeriod window) => terms.Proration == Proration.None ? 1 : Since(window.End) - Since(window.Start);

        public decimal Days(BillingPeriod window) => Period.DaysBetween(window.Start.InZone(zone).Date, window.End.InZone(zone).Date);

        public Money Owed(int quantity, BillingPeriod window) => terms.Proration == Proration.None
            ? Money.Round(terms.RecurringFee.Amount * quantity, terms.Currency)
            : At(quantity, window.End) - At(quantity, window.Start);

        private Money At(int quantity, Instant at) =>
            Money.Round(terms.RecurringFee.Amount * quantity * Since(at) / All, terms.Currency);

        private decimal Since(Instant at) => terms.Proration == Proration.Days
            ? Days(new(whole.Start, at))
            : (decimal)(at - whole.Start).BclCompatibleTicks / NodaConstants.TicksPerSecond;
    }
}
