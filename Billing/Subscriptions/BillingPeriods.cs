using NodaTime;

namespace Platform.Billing.Subscriptions;

/// <summary>A half-open interval: it includes its start and excludes its end.</summary>
public readonly record struct BillingPeriod(Instant Start, Instant End)
{
    public bool Contains(Instant at) => Start <= at && at < End;
}

/// <summary>
/// Where billing periods begin and end: at the first moment of the anchor day, month by month, in the tenant's zone. An
/// anchor day that a month does not have is its last day, and comes back in the next month that has it.
/// </summary>
public static class BillingPeriods
{
    /// <summary>The whole period that contains <paramref name="at"/>.</summary>
    /// <param name="anchorDay">1 to 31.</param>
    public static BillingPeriod Containing(Instant at, int anchorDay, DateTimeZone zone)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(anchorDay, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(anchorDay, 31);

        var month = at.InZone(zone).Date.ToYearMonth();
        return at < StartOf(month)
            ? new(StartOf(month.PlusMonths(-1)), StartOf(month))
            : new(StartOf(month), StartOf(month.PlusMonths(1)));

        Instant StartOf(YearMonth it)
        {
            var days = it.Calendar.GetDaysInMonth(it.Year, it.Month);
            return StartOfDay(it.OnDayOfMonth(Math.Min(anchorDay, days)), zone);
        }
    }

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
