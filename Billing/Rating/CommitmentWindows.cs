using NodaTime;
using Platform.Billing.Subscriptions;

namespace Platform.Billing.Rating;

/// <summary>A time that lies in one window of a commitment and has one price.</summary>
/// <param name="Window">The time of the window that has run: cut where what is rated begins or ends within it.</param>
/// <param name="IsOver">The window has ended by the clock, so what of its commitment was not used will not be.</param>
/// <param name="Band">Null where one price holds always.</param>
public sealed record PricedTime(BillingPeriod Window, bool IsOver, BillingPeriod Time, decimal UnitAmount, PriceBand? Band);

/// <summary>
/// Where the windows of a commitment and its bands of prices lie, in the tenant's zone. A band begins when the clock first shows its
/// time: where clocks are put back it goes on through the repeated hour, and where they skip its time it begins after the gap. Pure.
/// </summary>
public static class CommitmentWindows
{
    /// <summary>Of hours and bands, a year has then fewer parts than the ledger measures at once.</summary>
    public const int BandsMax = 24;

    public const int MinutesOfDay = 24 * 60;

    /// <returns>Parts in order that cover <paramref name="time"/> without gap or overlap.</returns>
    public static IReadOnlyList<PricedTime> Of(WindowedCommitmentPrice price, BillingPeriod time, DateTimeZone zone)
    {
        var parts = new List<PricedTime>();
        var date = time.Start.InZone(zone).Date;
        for (var start = BillingPeriods.StartOfDay(date, zone); start < time.End;)
        {
            var next = date.PlusDays(1);
            var end = BillingPeriods.StartOfDay(next, zone);
            var bands = Bands(price, date, new(start, end), zone);
            foreach (var window in Windows(price.Window, new(start, end)))
            {
                parts.AddRange(bands
                    .Select(band => (Time: Overlap(Overlap(window, band.Time), time), band.UnitAmount, band.Band))
                    .Where(part => part.Time.Start < part.Time.End)
                    .Select(part => new PricedTime(
                        Overlap(window, time), IsOver: window.End <= time.End, part.Time, part.UnitAmount, part.Band)));
            }

            (date, start) = (next, end);
        }

        return parts;
    }

    /// <summary>The whole window around a moment.</summary>
    public static BillingPeriod Containing(WindowedCommitmentPrice price, Instant at, DateTimeZone zone)
    {
        // A day that is lived through twice begins before: the window is the last one to begin by then.
        var date = at.InZone(zone).Date;
        return new[] { date, date.PlusDays(1) }
            .SelectMany(day => Windows(
                price.Window, new(BillingPeriods.StartOfDay(day, zone), BillingPeriods.StartOfDay(day.PlusDays(1), zone))))
            .First(window => window.Contains(at));
    }

    /// <summary>The bands that hold on such days, cut at midnight, by their beginning.</summary>
    /// <param name="days">Weekdays or weekend.</param>
    internal static IReadOnlyList<(int FromMinute, int ToMinute, int Band)> PartsOfDay(IReadOnlyList<PriceBand> bands, BandDays days) =>
    [
        .. bands.Index()
            .Where(it => it.Item.Days == BandDays.All || it.Item.Days == days)
            .SelectMany(it => (Minute(it.Item.From), Minute(it.Item.To)) switch
            {
                (var from, 0) => [(from, MinutesOfDay, it.Index)],
                var (from, to) when from < to => [(from, to, it.Index)],
                var (from, to) => new[] { (0, to, it.Index), (from, MinutesOfDay, it.Index) },
            })
            .Order(),
    ];

    private static IReadOnlyList<(BillingPeriod Time, decimal UnitAmount, PriceBand? Band)> Bands(
        WindowedCommitmentPrice price, LocalDate date, BillingPeriod day, DateTimeZone zone)
    {
        if (price.UnitAmount is { } always)
            return [(day, always, null)];

        var days = date.DayOfWeek is IsoDayOfWeek.Saturday or IsoDayOfWeek.Sunday ? BandDays.Weekend : BandDays.Weekdays;
        return
        [
            .. PartsOfDay(price.Bands, days).Select(part => (
                new BillingPeriod(At(part.FromMinute), At(part.ToMinute)), price.Bands[part.Band].UnitAmount,
                (PriceBand?)price.Bands[part.Band])),
        ];

        Instant At(int minute)
        {
            if (minute is 0 or MinutesOfDay)
                return minute == 0 ? day.Start : day.End;
            var local = zone.MapLocal(date.At(LocalTime.FromMinutesSinceMidnight(minute)));
            var at = local.Count == 0 ? local.LateInterval.Start : local.First().ToInstant();
            return Instant.Max(day.Start, Instant.Min(at, day.End));
        }
    }

    private static IEnumerable<BillingPeriod> Windows(CommitmentWindow window, BillingPeriod day) =>
        window is CommitmentWindow.Day ? [day] : Hours(day);

    private static IEnumerable<BillingPeriod> Hours(BillingPeriod day)
    {
        for (var start = day.Start; start < day.End; start += Duration.FromHours(1))
            yield return new(start, Instant.Min(start + Duration.FromHours(1), day.End));
    }

    private static BillingPeriod Overlap(BillingPeriod one, BillingPeriod other) =>
        new(Instant.Max(one.Start, other.Start), Instant.Min(one.End, other.End));

    private static int Minute(LocalTime time) => time.Hour * 60 + time.Minute;
}
