using NodaTime;
using NodaTime.Text;
using Platform.Billing.Subscriptions;

namespace Platform.Billing.Tests.Subscriptions;

public class BillingPeriodSpecs
{
    [Theory]
    // zone, anchor day, at -> start, end (all in UTC)
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
    public void A_period_is_the_one_the_calendar_says(string zone, int anchorDay, string at, string start, string end) =>
        BillingPeriods.Containing(At(at), anchorDay, DateTimeZoneProviders.Tzdb[zone])
            .ShouldBe(new BillingPeriod(At(start), At(end)));

    public static MatrixTheoryData<string, int> ZonesAndAnchors => new(
        [
            "Etc/UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia",
            "Asia/Beirut", "Australia/Lord_Howe", "America/Havana",
        ],
        [1, 15, 28, 29, 30, 31]);

    [Theory]
    [MemberData(nameof(ZonesAndAnchors))]
    public void Periods_follow_one_another_without_gap_or_overlap_for_twenty_years(string zoneId, int anchorDay)
    {
        var zone = DateTimeZoneProviders.Tzdb[zoneId];
        var period = BillingPeriods.Containing(Instant.FromUtc(2010, 1, 20, 3, 0), anchorDay, zone);

        for (var month = 0; month < 240; month++)
        {
            period.Start.ShouldBeLessThan(period.End);
            BillingPeriods.Containing(period.Start, anchorDay, zone).ShouldBe(period);
            BillingPeriods.Containing(period.End - Duration.Epsilon, anchorDay, zone).ShouldBe(period);

            var next = BillingPeriods.Containing(period.End, anchorDay, zone);
            next.Start.ShouldBe(period.End);
            period = next;
        }
    }

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
