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

    [Theory]
    // proration, quantities from instants of January (p: paused) -> lines: 31.00 a month, in arrears
    [InlineData(Proration.Days, "1@01", "Standard | 1 | 31.00")]
    [InlineData(Proration.Days, "3@01", "Standard, quantity 3 | 3 | 93.00")]
    [InlineData(Proration.Days, "1@01 3@11", "Standard, 10 of 31 days | 10 | 10.00", "Standard, quantity 3, 21 of 31 days | 63 | 63.00")]
    [InlineData(Proration.Days, "3@01 1@31", "Standard, quantity 3, 30 of 31 days | 90 | 90.00", "Standard, 1 of 31 days | 1 | 1.00")]
    [InlineData(Proration.Days, "1@01 2@02 3@03", "Standard, 1 of 31 days | 1 | 1.00", "Standard, quantity 2, 1 of 31 days | 2 | 2.00", "Standard, quantity 3, 29 of 31 days | 87 | 87.00")]
    // of several changes on a day the last counts, also on the first and on the last day
    [InlineData(Proration.Days, "1@01 9@11T08 2@11T17", "Standard, 10 of 31 days | 10 | 10.00", "Standard, quantity 2, 21 of 31 days | 42 | 42.00")]
    [InlineData(Proration.Days, "1@01 9@11T08 1@11T17", "Standard, 10 of 31 days | 10 | 10.00", "Standard, 21 of 31 days | 21 | 21.00")]
    [InlineData(Proration.Days, "1@01 4@01T12", "Standard, quantity 4 | 4 | 124.00")]
    [InlineData(Proration.Days, "1@01 4@31T23", "Standard, 30 of 31 days | 30 | 30.00", "Standard, quantity 4, 1 of 31 days | 4 | 4.00")]
    // a pause owes nothing and says so
    [InlineData(Proration.Days, "p2@01", "Standard, paused | 0 | 0.00")]
    [InlineData(Proration.Days, "1@01 p1@11 1@21", "Standard, 10 of 31 days | 10 | 10.00", "Standard, paused, 10 of 31 days | 0 | 0.00", "Standard, 11 of 31 days | 11 | 11.00")]
    [InlineData(Proration.Days, "2@01 p2@11T08 2@11T17", "Standard, quantity 2, 10 of 31 days | 20 | 20.00", "Standard, quantity 2, 21 of 31 days | 42 | 42.00")]
    // by seconds
    [InlineData(Proration.Seconds, "1@01 2@16T12", "Standard, 1339200 of 2678400 seconds | 1339200 | 15.50", "Standard, quantity 2, 1339200 of 2678400 seconds | 2678400 | 31.00")]
    [InlineData(Proration.Seconds, "2@01 p2@16T12", "Standard, quantity 2, 1339200 of 2678400 seconds | 2678400 | 31.00", "Standard, paused, 1339200 of 2678400 seconds | 0 | 0.00")]
    // without proration the greatest quantity owes its whole fee, unless it was gone the same day
    [InlineData(Proration.None, "1@01 3@11", "Standard, quantity 3 | 3 | 93.00")]
    [InlineData(Proration.None, "3@01 1@11", "Standard, quantity 3 | 3 | 93.00")]
    [InlineData(Proration.None, "1@01 900@11T08 2@11T17", "Standard, quantity 2 | 2 | 62.00")]
    [InlineData(Proration.None, "1@01 p1@11", "Standard | 1 | 31.00")]
    [InlineData(Proration.None, "p1@01", "Standard, paused | 0 | 0.00")]
    public void What_each_quantity_owes(Proration proration, string steps, params string[] lines) =>
        Lines(proration, steps, new(Spans(steps, FirstOfFebruary)), January, planEnds: false).ShouldBe(lines);

    [Theory]
    // proration, quantities, quantity that was billed in advance for January, end of the period, does the plan end -> lines
    [InlineData(Proration.Days, "2@01", 2, "01T00 of February", false)]
    [InlineData(Proration.Days, "1@01 3@11", 1, "01T00 of February", false, "Standard, quantity 3 instead of 1, 21 of 31 days | 42 | 42.00")]
    [InlineData(Proration.Days, "3@01 1@31", 3, "01T00 of February", false, "Standard, quantity 1 instead of 3, 1 of 31 days | -2 | -2.00")]
    [InlineData(Proration.Days, "1@01 9@11T08 1@11T17", 1, "01T00 of February", false)]
    [InlineData(Proration.Days, "1@01 5@01T12", 1, "01T00 of February", false, "Standard, quantity 5 instead of 1 | 4 | 124.00")]
    [InlineData(Proration.Days, "1@01 p1@11 1@21", 1, "01T00 of February", false, "Standard, paused, 10 of 31 days | -10 | -10.00")]
    [InlineData(Proration.Days, "p1@01", 1, "01T00 of February", false, "Standard, paused | -1 | -31.00")]
    // a plan that ends gives back what was not used up, and one that goes on does not
    [InlineData(Proration.Days, "2@01", 2, "11T12", true, "Standard, unused, 21 of 31 days | -42 | -42.00")]
    [InlineData(Proration.Days, "2@01", 2, "11T12", false)]
    [InlineData(Proration.Days, "2@01 3@06", 2, "11T12", true, "Standard, quantity 3 instead of 2, 5 of 31 days | 5 | 5.00", "Standard, unused, 21 of 31 days | -42 | -42.00")]
    [InlineData(Proration.Days, "1@01", 1, "01T12", true, "Standard, unused | -1 | -31.00")]
    [InlineData(Proration.Days, "1@01", 1, "31T12", true, "Standard, unused, 1 of 31 days | -1 | -1.00")]
    [InlineData(Proration.Seconds, "1@01", 1, "16T12", true, "Standard, unused, 1339200 of 2678400 seconds | -1339200 | -15.50")]
    // without proration nothing comes back, and more owes the difference
    [InlineData(Proration.None, "1@01 3@11", 1, "01T00 of February", false, "Standard, quantity 3 instead of 1 | 2 | 62.00")]
    [InlineData(Proration.None, "3@01 1@11", 3, "01T00 of February", false)]
    [InlineData(Proration.None, "p2@01", 2, "01T00 of February", false)]
    [InlineData(Proration.None, "2@01", 2, "11T12", true)]
    public void What_was_billed_in_advance_is_taken_off(
        Proration proration, string steps, int prepaid, string end, bool planEnds, params string[] lines)
    {
        var at = end.EndsWith("February", StringComparison.Ordinal) ? FirstOfFebruary : OfJanuary(end);
        Lines(proration, steps, new(Spans(steps, at), new(prepaid, January)), new(FirstOfJanuary, at), planEnds).ShouldBe(lines);
    }

    [Fact]
    public void What_is_not_to_be_given_back_is_not()
    {
        var middle = OfJanuary("11T12");
        Lines(
            Proration.Days, "1@01", new(Spans("1@01", middle), new(1, January), KeepsUnused: true), new(FirstOfJanuary, middle), planEnds: true)
            .ShouldBeEmpty();
    }

    [Fact]
    public void A_trial_owes_nothing_and_says_so()
    {
        var trial = Terms(31_00).OnTrial();
        var lines = RatePeriod.Rate(
            trial, January, January, DateTimeZone.Utc, [new("gpu-time", "millisecond", 5_000_000_000, January, Late: false)],
            planEnds: true, new([new(January, 3)], IsTrial: true));

        lines.Select(Text).ShouldBe(["Standard, free trial | 1 | 0.00", "GPU time, free trial | 5000000000 | 0.00"]);
    }

    [Theory]
    // zone, interval, a date that a period begins on, fee in cents, a change from one to two units -> cents of the two parts
    [InlineData("Pacific/Kiritimati", BillingInterval.Month, "2026-01-01", 31_00, "2026-01-15T09:59:59Z", 14_00, 34_00)]
    [InlineData("Pacific/Kiritimati", BillingInterval.Month, "2026-01-01", 31_00, "2026-01-15T10:00:00Z", 15_00, 32_00)]
    [InlineData("Pacific/Pago_Pago", BillingInterval.Month, "2026-01-01", 31_00, "2026-01-15T10:59:59Z", 13_00, 36_00)]
    [InlineData("Pacific/Pago_Pago", BillingInterval.Month, "2026-01-01", 31_00, "2026-01-15T11:00:00Z", 14_00, 34_00)]
    [InlineData("Europe/Berlin", BillingInterval.Month, "2026-01-01", 31_00, "2026-03-29T12:00:00Z", 28_00, 6_00)]
    [InlineData("Europe/Berlin", BillingInterval.Month, "2026-01-01", 31_00, "2026-10-25T12:00:00Z", 24_00, 14_00)]
    [InlineData("America/New_York", BillingInterval.Month, "2026-01-01", 31_00, "2026-03-08T12:00:00Z", 7_00, 48_00)]
    [InlineData("Australia/Lord_Howe", BillingInterval.Month, "2026-01-05", 31_00, "2026-04-05T12:00:00Z", 0, 62_00)]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-31", 28_00, "2026-02-10T12:00:00Z", 10_00, 36_00)]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-31", 31_00, "2026-03-30T12:00:00Z", 30_00, 2_00)]
    [InlineData("Etc/UTC", BillingInterval.Month, "2024-02-01", 29_00, "2024-02-29T12:00:00Z", 28_00, 2_00)]
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-03-09", 7_00, "2026-03-12T12:00:00Z", 3_00, 8_00)]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2026-01-01", 90_00, "2026-03-01T12:00:00Z", 59_00, 62_00)]
    [InlineData("Etc/UTC", BillingInterval.Quarter, "2024-01-01", 91_00, "2024-03-01T12:00:00Z", 60_00, 62_00)]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-01-01", 366_00, "2024-02-29T12:00:00Z", 59_00, 614_00)]
    [InlineData("Etc/UTC", BillingInterval.Year, "2026-01-01", 365_00, "2026-12-31T12:00:00Z", 364_00, 2_00)]
    [InlineData("Etc/UTC", BillingInterval.Year, "2024-02-29", 365_00, "2025-02-27T12:00:00Z", 364_00, 2_00)]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-01", 1, "2026-01-16T12:00:00Z", 0, 1)]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-01", 1, "2026-01-17T12:00:00Z", 1, 1)]
    public void A_second_unit_owes_its_days(
        string zoneId, BillingInterval interval, string anchor, long fee, string change, long before, long after)
    {
        var (zone, at) = (DateTimeZoneProviders.Tzdb[zoneId], InstantPattern.ExtendedIso.Parse(change).Value);
        var whole = BillingPeriods.Containing(at, new(interval, LocalDatePattern.Iso.Parse(anchor).Value), zone);
        var spans = FeeSchedule.From(whole.Start, 1).WithQuantity(2, at).Over(whole);

        var owed = spans.Select(span => RatePeriod.Rate(Terms(fee), span.Window, whole, zone, usage: [], fee: new([span])).Single());
        owed.Select(line => line.Amount.MinorUnits).ShouldBe([before, after]);
        RatePeriod.Rate(Terms(fee), whole, whole, zone, usage: [], fee: new(spans)).Sum(line => line.Amount.MinorUnits).ShouldBe(before + after);
    }

    private static readonly BillingPeriod January = new(FirstOfJanuary, FirstOfFebruary);

    private static string[] Lines(Proration proration, string steps, FeeBasis fee, BillingPeriod period, bool planEnds)
    {
        fee.Spans.Count.ShouldBe(steps.Split(' ').Length);
        return [.. RatePeriod.Rate(Terms(31_00, proration), period, January, DateTimeZone.Utc, usage: [], planEnds, fee).Select(Text)];
    }

    private static List<FeeSpan> Spans(string steps, Instant end)
    {
        var parts = steps.Split(' ').Select(step => step.Split('@')).ToList();
        var starts = parts.Select(part => OfJanuary(part[1])).ToList();
        return
        [
            .. parts.Select((part, index) => new FeeSpan(
                new(starts[index], index + 1 < starts.Count ? starts[index + 1] : end),
                int.Parse(part[0].TrimStart('p'), CultureInfo.InvariantCulture), Paused: part[0][0] == 'p')),
        ];
    }

    private static Instant OfJanuary(string dayAndHour) => InstantPattern.ExtendedIso.Parse(
        $"2026-01-{(dayAndHour.Contains('T', StringComparison.Ordinal) ? dayAndHour : $"{dayAndHour}T00")}:00:00Z").Value;

    private static string Text(RatedLine line) => string.Create(
        CultureInfo.InvariantCulture, $"{line.Description} | {line.Quantity} | {line.Amount.Amount}");
}
