using System.Diagnostics;
using NodaTime;
using Platform.Billing.Rating;

namespace Platform.Billing.Subscriptions;

/// <summary>A half-open interval: it includes its start and excludes its end.</summary>
public readonly record struct BillingPeriod(Instant Start, Instant End)
{
    public bool Contains(Instant at) => Start <= at && at < End;
}

/// <summary>
/// Where billing periods begin and end: at the first moment of the anchor's day, interval by interval, in the tenant's zone. A day of
/// the month that a month does not have is its last day, and comes back in the next month that has it.
/// </summary>
public static class BillingPeriods
{
    /// <summary>The whole period that contains <paramref name="at"/>.</summary>
    public static BillingPeriod Containing(Instant at, BillingCycle cycle, DateTimeZone zone)
    {
        var number = NumberNear(at.InZone(zone).Date, cycle);
        return at < StartOf(number) ? new(StartOf(number - 1), StartOf(number)) : new(StartOf(number), StartOf(number + 1));

        // Counted from the anchor each time, so that a day which was cut to a short month is not lost.
        Instant StartOf(int period) => StartOfDay(
            cycle.Interval == BillingInterval.Week
                ? cycle.Anchor.PlusWeeks(period)
                : cycle.Anchor.PlusMonths(period * Months(cycle.Interval)),
            zone);
    }

    // The number, counted from the anchor, of the period that begins on the date, or in the months before it or in its own.
    private static int NumberNear(LocalDate date, BillingCycle cycle)
    {
        var (distance, step) = cycle.Interval == BillingInterval.Week
            ? (Period.DaysBetween(cycle.Anchor, date), 7)
            : (((date.Year - cycle.Anchor.Year) * 12) + date.Month - cycle.Anchor.Month, Months(cycle.Interval));
        return (int)Math.Floor(distance / (decimal)step);
    }

    private static int Months(BillingInterval interval) => interval switch
    {
        BillingInterval.Month => 1,
        BillingInterval.Quarter => 3,
        BillingInterval.Year => 12,
        _ => throw new UnreachableException($"{interval} is not counted in months."),
    };

    /// <summary>
    /// The day's first moment: not always midnight, because clocks that jump at midnight skip it, go through it twice, or
    /// (at the date line) skip the day, which then is as long as nothing.
    /// </summary>
    public static Instant StartOfDay(LocalDate date, DateTimeZone zone)
    {
        var midnight = zone.MapLocal(date.AtMidnight());
        return midnight.Count == 0 ? midnight.LateInterval.Start : midnight.First().ToInstant();
    }
}
