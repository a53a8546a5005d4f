using NodaTime;
using NodaTime.Text;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;

namespace Platform.Billing.Tests.Subscriptions;

public class BillingPeriodSpecs
{
    [Theory]
    // zone, anchor day of months, at -> start, end (all in UTC)
    [InlineData("Etc/UTC", 1, "2026-01-15T10:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")]
    [InlineData("Etc/UTC", 1, "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")]
    [InlineData("Etc/UTC", 1, "2025-12-31T23:59:59.999999Z", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z")]
    // anchor 31 clamps to the month's last day and comes back
    [InlineData("Etc/UTC", 31, "2026-02-10T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z")]
    [InlineData("Etc/UTC", 31, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z")]
    [InlineData("Etc/UTC", 31, "2026-04-29T00:00:00Z", "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z")]
    [InlineData("Etc/UTC", 31, "2026-04-30T00:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z")]
    [InlineData("Etc/UTC", 29, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-29T00:00:00Z")]
    [InlineData("Etc/UTC", 30, "2024-02-29T12:00:00Z", "2024-02-29T00:00:00Z", "2024-03-30T00:00:00Z")]
    // the ends of the world: a date is another one there
    [InlineData("Pacific/Kiritimati", 1, "2025-12-31T10:00:00Z", "2025-12-31T10:00:00Z", "2026-01-31T10:00:00Z")]
    [InlineData("Pacific/Kiritimati", 1, "2025-12-31T09:59:59Z", "2025-11-30T10:00:00Z", "2025-12-31T10:00:00Z")]
    [InlineData("Pacific/Pago_Pago", 1, "2026-01-01T10:59:59Z", "2025-12-01T11:00:00Z", "2026-01-01T11:00:00Z")]
    [InlineData("Pacific/Pago_Pago", 1, "2026-01-01T11:00:00Z", "2026-01-01T11:00:00Z", "2026-02-01T11:00:00Z")]
    // clocks change within the period: it is an hour shorter, or longer
    [InlineData("Europe/Berlin", 1, "2026-03-15T00:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z")]
    [InlineData("Europe/Berlin", 1, "2026-10-15T00:00:00Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z")]
    // clocks change on the anchor day itself
    [InlineData("Europe/Berlin", 29, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-04-28T22:00:00Z")]
    [InlineData("Europe/Berlin", 25, "2026-10-25T00:30:00Z", "2026-10-24T22:00:00Z", "2026-11-24T23:00:00Z")]
    // clocks jump at midnight: the day begins at one o'clock (Beirut 2026-03-29), or has midnight twice (Havana 2024-11-03)
    [InlineData("Asia/Beirut", 29, "2026-03-29T00:00:00Z", "2026-03-28T22:00:00Z", "2026-04-28T21:00:00Z")]
    [InlineData("America/Havana", 3, "2024-11-03T04:30:00Z", "2024-11-03T04:00:00Z", "2024-12-03T05:00:00Z")]
    // Samoa had no 30 December 2011: the period that would begin then begins where the day would have
    [InlineData("Pacific/Apia", 30, "2011-12-30T12:00:00Z", "2011-12-30T10:00:00Z", "2012-01-29T10:00:00Z")]
    public void A_month_is_the_one_the_calendar_says(string zone, int anchorDay, string at, string start, string end) =>
        BillingPeriods.Containing(
                At(at), BillingCycle.OfCalendar(BillingInterval.Month, anchorDay, new(2020, 5, 5)), DateTimeZoneProviders.Tzdb[zone])
            .ShouldBe(new BillingPeriod(At(start), At(end)));

    [Theory]
    // zone, interval, a date that a period begins on, at -> start, end (all in UTC)
    // weeks, from Monday and from another day; before the anchor and over the leap day
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-01-05", "2026-03-10T12:00:00Z", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-01-05", "2026-03-09T00:00:00Z", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-01-05", "2026-03-08T23:59:59.999999Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-01-05", "2025-12-31T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-01-01", "2026-03-31T00:00:00Z", "2026-03-26T00:00:00Z", "2026-04-02T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Week, "2024-02-26", "2024-02-29T00:00:00Z", "2024-02-26T00:00:00Z", "2024-03-04T00:00:00Z")]
    // weeks of 167 and 169 hours, at both ends of the day, and one that lost its anchor day to the date line
    [InlineData("Europe/Berlin", BillingInterval.Week, "2026-03-23", "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z")]
    [InlineData("Europe/Berlin", BillingInterval.Week, "2026-03-23", "2026-10-25T12:00:00Z", "2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z")]
    [InlineData("Pacific/Kiritimati", BillingInterval.Week, "2026-03-09", "2026-03-08T10:00:00Z", "2026-03-08T10:00:00Z", "2026-03-15T10:00:00Z")]
    [InlineData("Pacific/Kiritimati", BillingInterval.Week, "2026-03-09", "2026-03-08T09:59:59Z", "2026-03-01T10:00:00Z", "2026-03-08T10:00:00Z")]
    [InlineData("Pacific/Pago_Pago", BillingInterval.Week, "2026-03-09", "2026-03-09T11:00:00Z", "2026-03-09T11:00:00Z", "2026-03-16T11:00:00Z")]
    [InlineData("Pacific/Apia", BillingInterval.Week, "2011-12-23", "2011-12-30T09:59:59Z", "2011-12-23T10:00:00Z", "2011-12-30T10:00:00Z")]
    [InlineData("Pacific/Apia", BillingInterval.Week, "2011-12-23", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2012-01-05T10:00:00Z")]
    // months from the day of a start
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-30", "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-30T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2023-11-29", "2024-02-28T23:59:59Z", "2024-01-29T00:00:00Z", "2024-02-29T00:00:00Z")]
    // quarters, also from days that their months do not have
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-01", "2026-03-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-01", "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-01", "2025-12-31T00:00:00Z", "2025-10-01T00:00:00Z", "2026-01-01T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-31", "2026-02-10T00:00:00Z", "2026-01-31T00:00:00Z", "2026-04-30T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-31", "2026-04-30T00:00:00Z", "2026-04-30T00:00:00Z", "2026-07-31T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-31", "2026-07-31T00:00:00Z", "2026-07-31T00:00:00Z", "2026-10-31T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-31", "2026-01-30T00:00:00Z", "2025-10-31T00:00:00Z", "2026-01-31T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2025-11-30", "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-05-30T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2023-11-30", "2024-02-28T12:00:00Z", "2023-11-30T00:00:00Z", "2024-02-29T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2023-11-30", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-05-30T00:00:00Z")]
    [InlineData("Europe/Berlin", BillingInterval.Quarter, "2026-01-01", "2026-01-01T12:00:00Z", "2025-12-31T23:00:00Z", "2026-03-31T22:00:00Z")]
    [InlineData("Europe/Berlin", BillingInterval.Quarter, "2026-01-01", "2026-05-01T12:00:00Z", "2026-03-31T22:00:00Z", "2026-06-30T22:00:00Z")]
    [InlineData("Europe/Berlin", BillingInterval.Quarter, "2026-01-01", "2026-12-01T12:00:00Z", "2026-09-30T22:00:00Z", "2026-12-31T23:00:00Z")]
    [InlineData("Pacific/Kiritimati", BillingInterval.Quarter, "2026-01-01", "2025-12-31T10:00:00Z", "2025-12-31T10:00:00Z", "2026-03-31T10:00:00Z")]
    [InlineData("Pacific/Pago_Pago", BillingInterval.Quarter, "2026-01-01", "2026-01-01T10:59:59Z", "2025-10-01T11:00:00Z", "2026-01-01T11:00:00Z")]
    // years; the 29th of February is the 28th of other years, and 2100 is one of them
    [InlineData("Etc/UTC", BillingInterval.Year, "2026-01-01", "2026-06-01T00:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2026-01-01", "2025-12-31T23:59:59.999999Z", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2026-01-31", "2026-01-30T00:00:00Z", "2025-01-31T00:00:00Z", "2026-01-31T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", "2025-02-27T00:00:00Z", "2024-02-29T00:00:00Z", "2025-02-28T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", "2025-02-28T00:00:00Z", "2025-02-28T00:00:00Z", "2026-02-28T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", "2028-02-28T00:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", "2023-06-01T00:00:00Z", "2023-02-28T00:00:00Z", "2024-02-29T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", "2100-02-28T00:00:00Z", "2100-02-28T00:00:00Z", "2101-02-28T00:00:00Z")]
    [InlineData("America/New_York", BillingInterval.Year, "2026-03-08", "2026-12-01T00:00:00Z", "2026-03-08T05:00:00Z", "2027-03-08T05:00:00Z")]
    [InlineData("Asia/Beirut", BillingInterval.Year, "2026-03-29", "2026-12-01T00:00:00Z", "2026-03-28T22:00:00Z", "2027-03-28T21:00:00Z")]
    [InlineData("Pacific/Kiritimati", BillingInterval.Year, "2026-01-01", "2026-12-31T09:59:59Z", "2025-12-31T10:00:00Z", "2026-12-31T10:00:00Z")]
    [InlineData("Pacific/Pago_Pago", BillingInterval.Year, "2026-01-01", "2027-01-01T10:59:59Z", "2026-01-01T11:00:00Z", "2027-01-01T11:00:00Z")]
    public void A_period_is_a_whole_interval_from_the_anchor(
        string zone, BillingInterval interval, string anchor, string at, string start, string end) =>
        BillingPeriods.Containing(
                At(at), new(interval, LocalDatePattern.Iso.Parse(anchor).Value), DateTimeZoneProviders.Tzdb[zone])
            .ShouldBe(new BillingPeriod(At(start), At(end)));

    public static MatrixTheoryData<string, BillingInterval, int> ZonesAndAnchors => new(
        [
            "Etc/UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia",
            "Asia/Beirut", "Australia/Lord_Howe", "America/Havana",
        ],
        Enum.GetValues<BillingInterval>(),
        [1, 15, 28, 29, 30, 31]);

    [Theory]
    [MemberData(nameof(ZonesAndAnchors))]
    public void Periods_follow_one_another_without_gap_or_overlap_for_twenty_years(string zoneId, BillingInterval interval, int anchorDay)
    {
        var zone = DateTimeZoneProviders.Tzdb[zoneId];
        var cycle = BillingCycle.OfCalendar(interval, anchorDay, new(2015, 6, 1));
        var period = BillingPeriods.Containing(Instant.FromUtc(2010, 1, 20, 3, 0), cycle, zone);

        while (period.Start < Instant.FromUtc(2030, 2, 1, 0, 0))
        {
            period.Start.ShouldBeLessThan(period.End);
            BillingPeriods.Containing(period.Start, cycle, zone).ShouldBe(period);
            BillingPeriods.Containing(period.End - Duration.Epsilon, cycle, zone).ShouldBe(period);

            var next = BillingPeriods.Containing(period.End, cycle, zone);
            next.Start.ShouldBe(period.End);
            period = next;
        }
    }

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
