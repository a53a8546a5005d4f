using System.Globalization;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Rating;

/// <summary>Parts of a fee over periods of every length. What they should be was counted by hand.</summary>
public class RecurringFeeSpecs
{
    [Theory]
    // proration, zone, interval, a date that a period begins on, cuts within one period, fee in cents -> slices of the fee
    // weeks: the day of a cut belongs to the slice after it
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Week, "2026-03-09", "2026-03-12T00:00:00Z", 700, "300 400")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Week, "2026-03-09", "2026-03-12T23:59:59Z", 700, "300 400")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Week, "2026-03-09", "2026-03-15T12:00:00Z", 1000, "857 143")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Week, "2024-02-26", "2024-02-29T12:00:00Z 2024-03-01T00:00:00Z", 700, "300 100 300")]
    [InlineData(Proration.Days, "Europe/Berlin", BillingInterval.Week, "2026-03-23", "2026-03-29T12:00:00Z", 700, "600 100")]
    [InlineData(Proration.Days, "Europe/Berlin", BillingInterval.Week, "2026-10-19", "2026-10-25T22:59:59Z", 700, "600 100")]
    [InlineData(Proration.Seconds, "Europe/Berlin", BillingInterval.Week, "2026-03-23", "2026-03-29T01:00:00Z", 167_00, "14600 2100")]
    [InlineData(Proration.Seconds, "Europe/Berlin", BillingInterval.Week, "2026-10-19", "2026-10-25T01:00:00Z", 169_00, "14700 2200")]
    [InlineData(Proration.Days, "Pacific/Kiritimati", BillingInterval.Week, "2026-03-09", "2026-03-11T09:59:59Z", 700, "200 500")]
    [InlineData(Proration.Days, "Pacific/Kiritimati", BillingInterval.Week, "2026-03-09", "2026-03-11T10:00:00Z", 700, "300 400")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", BillingInterval.Week, "2026-03-09", "2026-03-12T10:59:59Z", 700, "200 500")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", BillingInterval.Week, "2026-03-09", "2026-03-12T11:00:00Z", 700, "300 400")]
    // months of 28, 29, 30 and 31 days
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2026-02-01", "2026-02-11T00:00:00Z", 280_00, "10000 18000")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2024-02-01", "2024-02-11T00:00:00Z", 290_00, "10000 19000")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2026-04-01", "2026-04-11T00:00:00Z", 300_00, "10000 20000")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2026-05-01", "2026-05-11T00:00:00Z", 310_00, "10000 21000")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2026-01-31", "2026-02-10T00:00:00Z", 280_00, "10000 18000")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2026-01-31", "2026-03-10T00:00:00Z", 310_00, "10000 21000")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Month, "2026-01-31", "2026-04-09T00:00:00Z", 300_00, "9000 21000")]
    // quarters of 90, 91 and 92 days, and 89 from the last day of January
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Quarter, "2026-01-01", "2026-03-01T00:00:00Z", 90_00, "5900 3100")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Quarter, "2024-01-01", "2024-02-29T12:00:00Z", 91_00, "5900 3200")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Quarter, "2026-01-01", "2026-05-01T00:00:00Z", 100_00, "3297 6703")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Quarter, "2026-01-01", "2026-10-31T00:00:00Z", 92_00, "3000 6200")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Quarter, "2026-01-31", "2026-02-28T00:00:00Z", 89_00, "2800 6100")]
    [InlineData(Proration.Days, "Pacific/Kiritimati", BillingInterval.Quarter, "2026-01-01", "2026-01-31T09:59:59Z", 90_00, "3000 6000")]
    [InlineData(Proration.Days, "Pacific/Kiritimati", BillingInterval.Quarter, "2026-01-01", "2026-01-31T10:00:00Z", 90_00, "3100 5900")]
    [InlineData(Proration.Seconds, "America/New_York", BillingInterval.Quarter, "2026-01-01", "2026-03-08T07:00:00Z", 215_900, "158600 57300")]
    // years of 365 and 366 days, and from the 29th of February
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2026-01-01", "2026-03-01T00:00:00Z", 365_00, "5900 30600")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2024-01-01", "2024-03-01T00:00:00Z", 366_00, "6000 30600")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2024-01-01", "2024-02-29T23:59:59Z", 366_00, "5900 30700")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2026-01-01", "2026-07-01T00:00:00Z", 100_00, "4959 5041")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2024-01-01", "2024-07-01T00:00:00Z", 100_00, "4973 5027")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2024-02-29", "2024-03-01T00:00:00Z", 365_00, "100 36400")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2024-02-29", "2028-02-28T00:00:00Z", 366_00, "36500 100")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2026-01-01", "2026-07-02T00:00:00Z", 1, "0 1")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2026-01-01", "2026-07-03T00:00:00Z", 1, "1 0")]
    [InlineData(Proration.Days, "Etc/UTC", BillingInterval.Year, "2026-01-01", "2026-07-01T08:00:00Z 2026-07-01T17:00:00Z", 365_00, "18100 0 18400")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", BillingInterval.Year, "2024-01-01", "2024-03-01T10:59:59Z", 366_00, "5900 30700")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", BillingInterval.Year, "2024-01-01", "2024-03-01T11:00:00Z", 366_00, "6000 30600")]
    [InlineData(Proration.Days, "Europe/Berlin", BillingInterval.Year, "2026-01-01", "2026-03-28T23:00:00Z 2026-10-24T22:00:00Z", 365_00, "8700 21000 6800")]
    [InlineData(Proration.Seconds, "Etc/UTC", BillingInterval.Year, "2024-01-01", "2024-02-29T12:00:00Z", 8784_00, "142800 735600")]
    [InlineData(Proration.None, "Etc/UTC", BillingInterval.Year, "2024-01-01", "2024-02-29T12:00:00Z", 366_00, "36600 36600")]
    public void The_slices_of_a_fee(
        Proration proration, string zoneId, BillingInterval interval, string anchor, string cuts, long fee, string slices)
    {
        var zone = DateTimeZoneProviders.Tzdb[zoneId];
        var instants = cuts.Split(' ').Select(at => InstantPattern.ExtendedIso.Parse(at).Value).ToList();
        var whole = BillingPeriods.Containing(instants[0], new(interval, LocalDatePattern.Iso.Parse(anchor).Value), zone);
        var owed = instants.Prepend(whole.Start).Zip(instants.Append(whole.End)).Select(cut => RatePeriod.Rate(
            Terms(fee, proration), new(cut.First, cut.Second), whole, zone, usage: []).Single().Amount.MinorUnits);

        string.Join(' ', owed.Select(cents => cents.ToString(CultureInfo.InvariantCulture))).ShouldBe(slices);
    }
}
