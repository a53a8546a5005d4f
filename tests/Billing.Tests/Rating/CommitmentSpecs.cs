using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Tests.Rating;

public class CommitmentSpecs
{
    private static readonly Limits None = Limits.None;
    private static readonly PriceBand[] DayAndNight = [Band("08:00", "20:00", 3), Band("20:00", "08:00", 1)];
    private static readonly PriceBand[] HalfPastEight = [Band("08:30", "20:30", 3), Band("20:30", "08:30", 1)];
    private static readonly PriceBand[] HalfPastTwo = [Band("02:30", "14:00", 3), Band("14:00", "02:30", 1)];
    private static readonly PriceBand[] WorkingHours =
    [
        Band("08:00", "20:00", 3, BandDays.Weekdays), Band("20:00", "08:00", 1, BandDays.Weekdays),
        Band("00:00", "00:00", 0.5m, BandDays.Weekend),
    ];

    internal static readonly Dictionary<string, WindowedCommitmentPrice> Prices = new()
    {
        ["h5"] = Hours(5),
        ["h5.x1.5"] = Hours(5, factor: 1.5m),
        ["h5.at3"] = Hours(5) with { OverageUnitAmount = 3 },
        ["h5.period"] = Hours(5, TrueUp.Period),
        ["h5.period.x1.5"] = Hours(5, TrueUp.Period, factor: 1.5m),
        ["h5.none"] = Hours(5, TrueUp.None),
        ["h5.none.x1.5"] = Hours(5, TrueUp.None, factor: 1.5m),
        ["h5.none.min50"] = Hours(5, TrueUp.None) with { Limits = new(MinimumAmount: 50) },
        ["h5.max15"] = Hours(5) with { Limits = new(MaximumAmount: 15) },
        ["h$10"] = OfAmount(10),
        ["h$10.x1.5"] = OfAmount(10, factor: 1.5m),
        ["h$10.period"] = OfAmount(10, TrueUp.Period),
        ["h$10.none.x1.5"] = OfAmount(10, TrueUp.None, factor: 1.5m),
        ["h$10.thirds"] = OfAmount(10, factor: 1.5m) with { UnitAmount = 3 },
        ["d10"] = Hours(10) with { Window = CommitmentWindow.Day, UnitAmount = 1 },
        ["d10.x1.5"] = Hours(10, factor: 1.5m) with { Window = CommitmentWindow.Day, UnitAmount = 1 },
        ["bands"] = Banded(DayAndNight),
        ["bands.half"] = Banded(HalfPastEight),
        ["bands.gap"] = Banded(HalfPastTwo),
        ["bands.week"] = Banded(WorkingHours),
        ["bands.h2"] = Banded(DayAndNight, committed: 2),
        ["bands.half.h2.x1.5"] = Banded(HalfPastEight, committed: 2) with { OverageFactor = 1.5m },
        ["bands.d10.x1.5"] = Banded(DayAndNight, committed: 10) with { Window = CommitmentWindow.Day, OverageFactor = 1.5m },
        ["bands.d10.period"] = Banded(DayAndNight, committed: 10) with { Window = CommitmentWindow.Day, TrueUp = TrueUp.Period },
        ["bands.d$10.x1.5"] = Banded(DayAndNight) with
        {
            Window = CommitmentWindow.Day,
            CommittedAmount = 10,
            OverageFactor = 1.5m,
            TrueUp = TrueUp.Window,
        },
    };

    private static readonly Dictionary<string, DateTimeZone> Zones = new()
    {
        ["utc"] = DateTimeZone.Utc,
        ["berlin"] = DateTimeZoneProviders.Tzdb["Europe/Berlin"],
        ["kolkata"] = DateTimeZoneProviders.Tzdb["Asia/Kolkata"],
        ["kathmandu"] = DateTimeZoneProviders.Tzdb["Asia/Kathmandu"],
        ["lord-howe"] = DateTimeZoneProviders.Tzdb["Australia/Lord_Howe"],
        ["apia"] = DateTimeZoneProviders.Tzdb["Pacific/Apia"],
        ["havana"] = DateTimeZoneProviders.Tzdb["America/Havana"],
    };

    // price, zone, from, to (UTC), uses by UTC time, amount at the period's end
    private const string Cases =
        """
        h5                  utc        2027-03-01T00:00  2027-03-01T01:00  -                                10
        h5                  utc        2027-03-01T00:00  2027-03-01T01:00  00:10=4.999                      10
        h5                  utc        2027-03-01T00:00  2027-03-01T01:00  00:10=5                          10
        h5                  utc        2027-03-01T00:00  2027-03-01T01:00  00:10=5.001                      10.002
        h5                  utc        2027-03-01T00:00  2027-03-01T01:00  00:10=6                          12
        h5                  utc        2027-03-01T00:00  2027-03-01T01:00  00:10=2,00:59=4                  12
        h5                  utc        2027-03-01T00:00  2027-03-01T02:00  00:10=5                          20
        h5                  utc        2027-03-01T00:00  2027-03-01T02:00  00:10=10                         30
        h5                  utc        2027-03-01T00:00  2027-03-01T02:00  00:59=5,01:00=5                  20
        h5                  utc        2027-03-01T00:00  2027-03-02T00:00  -                                240
        h5                  utc        2027-03-01T00:00  2027-03-01T00:30  -                                0
        h5                  utc        2027-03-01T00:00  2027-03-01T00:30  00:10=3                          6
        h5                  utc        2027-03-01T00:00  2027-03-01T01:30  00:10=3,01:10=7                  24
        h5                  utc        2027-03-01T00:30  2027-03-01T01:00  -                                10
        h5                  utc        2027-03-01T00:30  2027-03-01T01:00  00:40=6                          12
        h5                  utc        2027-03-01T00:30  2027-03-01T00:40  00:30=1                          2

        h5.x1.5             utc        2027-03-01T00:00  2027-03-01T01:00  -                                10
        h5.x1.5             utc        2027-03-01T00:00  2027-03-01T01:00  00:10=5                          10
        h5.x1.5             utc        2027-03-01T00:00  2027-03-01T01:00  00:10=6                          13
        h5.x1.5             utc        2027-03-01T00:00  2027-03-01T01:00  00:10=5.5                        11.5
        h5.x1.5             utc        2027-03-01T00:00  2027-03-01T02:00  00:10=10                         35
        h5.at3              utc        2027-03-01T00:00  2027-03-01T01:00  00:10=5                          10
        h5.at3              utc        2027-03-01T00:00  2027-03-01T01:00  00:10=6                          13

        h5.period           utc        2027-03-01T00:00  2027-03-01T02:00  -                                20
        h5.period           utc        2027-03-01T00:00  2027-03-01T02:00  00:10=3                          20
        h5.period           utc        2027-03-01T00:00  2027-03-01T02:00  00:10=10                         20
        h5.period           utc        2027-03-01T00:00  2027-03-01T02:00  00:10=11                         22
        h5.period           utc        2027-03-01T00:00  2027-03-01T00:30  -                                0
        h5.period           utc        2027-03-01T00:00  2027-03-01T01:30  01:10=5                          20
        h5.period.x1.5      utc        2027-03-01T00:00  2027-03-01T02:00  00:10=10                         25
        h5.period.x1.5      utc        2027-03-01T00:00  2027-03-01T02:00  00:10=6                          21
        h5.none             utc        2027-03-01T00:00  2027-03-01T02:00  -                                0
        h5.none             utc        2027-03-01T00:00  2027-03-01T02:00  00:10=3                          6
        h5.none.x1.5        utc        2027-03-01T00:00  2027-03-01T02:00  00:10=5                          10
        h5.none.x1.5        utc        2027-03-01T00:00  2027-03-01T02:00  00:10=6                          13
        h5.none.x1.5        utc        2027-03-01T00:00  2027-03-01T02:00  00:10=3,01:10=3                  12
        h5.none.min50       utc        2027-03-01T00:00  2027-03-01T02:00  -                                50
        h5.none.min50       utc        2027-03-01T00:00  2027-03-01T02:00  00:10=26                         52
        h5.max15            utc        2027-03-01T00:00  2027-03-01T01:00  -                                10
        h5.max15            utc        2027-03-01T00:00  2027-03-01T02:00  -                                15

        h$10                utc        2027-03-01T00:00  2027-03-01T01:00  -                                10
        h$10                utc        2027-03-01T00:00  2027-03-01T01:00  00:10=5                          10
        h$10                utc        2027-03-01T00:00  2027-03-01T01:00  00:10=6                          12
        h$10.x1.5           utc        2027-03-01T00:00  2027-03-01T01:00  00:10=6                          13
        h$10.x1.5           utc        2027-03-01T00:00  2027-03-01T02:00  00:10=10                         35
        h$10.period         utc        2027-03-01T00:00  2027-03-01T02:00  00:10=3                          20
        h$10.period         utc        2027-03-01T00:00  2027-03-01T02:00  00:10=11                         22
        h$10.none.x1.5      utc        2027-03-01T00:00  2027-03-01T01:00  -                                0
        h$10.none.x1.5      utc        2027-03-01T00:00  2027-03-01T01:00  00:10=6                          13
        h$10.thirds         utc        2027-03-01T00:00  2027-03-01T01:00  00:10=3                          10
        h$10.thirds         utc        2027-03-01T00:00  2027-03-01T01:00  00:10=4                          13

        h5                  berlin     2027-03-26T23:00  2027-03-27T23:00  -                                240
        h5                  berlin     2027-03-27T23:00  2027-03-28T22:00  -                                230
        h5                  berlin     2027-10-30T22:00  2027-10-31T23:00  -                                250
        d10                 berlin     2027-03-27T23:00  2027-03-28T22:00  -                                10
        d10                 berlin     2027-03-27T23:00  2027-03-28T22:00  2027-03-28T21:59=11              11
        d10                 berlin     2027-10-30T22:00  2027-10-31T23:00  2027-10-31T22:59=11              11
        d10                 berlin     2027-10-30T22:00  2027-10-31T22:59  -                                0
        d10                 berlin     2027-03-26T23:00  2027-03-28T22:00  2027-03-27T22:59=4,23:00=12      22
        d10.x1.5            berlin     2027-03-26T23:00  2027-03-28T22:00  2027-03-27T22:59=4,23:00=12      23
        h5                  kolkata    2027-02-28T18:30  2027-02-28T19:30  -                                10
        h5                  kolkata    2027-02-28T18:30  2027-02-28T19:30  18:45=1,19:15=5                  12
        h5                  kolkata    2027-02-28T18:30  2027-02-28T20:30  19:29=5,19:30=5                  20
        h5                  kathmandu  2027-02-28T18:15  2027-02-28T19:15  19:14=6                          12
        h5                  kathmandu  2027-02-28T18:15  2027-02-28T20:15  19:14=5,19:15=5                  20
        d10                 kathmandu  2027-02-28T18:15  2027-03-01T18:15  18:15=6,2027-03-01T18:14=6       12
        h5                  lord-howe  2027-10-02T13:30  2027-10-03T13:00  -                                240
        h5                  lord-howe  2027-04-03T13:00  2027-04-04T13:30  -                                250
        h5                  apia       2011-12-29T10:00  2011-12-31T10:00  -                                480
        d10                 apia       2011-12-29T10:00  2011-12-31T10:00  -                                20
        h5                  havana     2027-03-13T05:00  2027-03-15T04:00  -                                470
        h5                  havana     2027-11-06T04:00  2027-11-08T05:00  -                                490
        d10                 havana     2027-11-06T04:00  2027-11-08T05:00  2027-11-07T04:30=11              21

        bands               utc        2027-03-01T00:00  2027-03-02T00:00  -                                0
        bands               utc        2027-03-01T00:00  2027-03-02T00:00  00:00=1                          1
        bands               utc        2027-03-01T00:00  2027-03-02T00:00  07:59=1                          1
        bands               utc        2027-03-01T00:00  2027-03-02T00:00  08:00=1                          3
        bands               utc        2027-03-01T00:00  2027-03-02T00:00  19:59=1                          3
        bands               utc        2027-03-01T00:00  2027-03-02T00:00  20:00=1                          1
        bands               utc        2027-03-01T00:00  2027-03-02T00:00  23:59=1                          1
        bands               berlin     2027-03-26T23:00  2027-03-28T22:00  2027-03-27T06:59=1               1
        bands               berlin     2027-03-26T23:00  2027-03-28T22:00  2027-03-27T07:00=1               3
        bands               berlin     2027-03-26T23:00  2027-03-28T22:00  2027-03-28T05:59=1               1
        bands               berlin     2027-03-26T23:00  2027-03-28T22:00  2027-03-28T06:00=1               3
        bands               kolkata    2027-02-28T18:30  2027-03-01T18:30  2027-03-01T02:29=1,02:30=1       4
        bands.half          utc        2027-03-01T00:00  2027-03-02T00:00  08:29=1,08:30=1                  4
        bands.gap           berlin     2027-03-27T23:00  2027-03-28T22:00  2027-03-28T00:59=1               1
        bands.gap           berlin     2027-03-27T23:00  2027-03-28T22:00  2027-03-28T01:00=1               3
        bands.gap           berlin     2027-10-30T22:00  2027-10-31T23:00  2027-10-31T00:29=1               1
        bands.gap           berlin     2027-10-30T22:00  2027-10-31T23:00  2027-10-31T00:30=1               3
        bands.gap           berlin     2027-10-30T22:00  2027-10-31T23:00  2027-10-31T01:10=1               3
        bands.week          utc        2027-03-05T00:00  2027-03-09T00:00  19:00=1                          3
        bands.week          utc        2027-03-05T00:00  2027-03-09T00:00  21:00=1                          1
        bands.week          utc        2027-03-05T00:00  2027-03-09T00:00  2027-03-06T00:00=1               0.5
        bands.week          utc        2027-03-05T00:00  2027-03-09T00:00  2027-03-07T12:00=1               0.5
        bands.week          utc        2027-03-05T00:00  2027-03-09T00:00  2027-03-08T00:00=1               1
        bands.week          berlin     2027-03-04T23:00  2027-03-08T23:00  2027-03-05T22:59=1,23:00=1       1.5

        bands.h2            utc        2027-03-01T07:00  2027-03-01T08:00  -                                2
        bands.h2            utc        2027-03-01T08:00  2027-03-01T09:00  -                                6
        bands.h2            utc        2027-03-01T00:00  2027-03-02T00:00  -                                96
        bands.h2            utc        2027-03-01T07:00  2027-03-01T09:00  07:10=1,08:10=3                  11
        bands.half.h2.x1.5  utc        2027-03-01T08:00  2027-03-01T09:00  -                                2
        bands.half.h2.x1.5  utc        2027-03-01T08:00  2027-03-01T09:00  08:10=2                          2
        bands.half.h2.x1.5  utc        2027-03-01T08:00  2027-03-01T09:00  08:40=2                          6
        bands.half.h2.x1.5  utc        2027-03-01T08:00  2027-03-01T09:00  08:10=1,08:40=2                  8.5
        bands.half.h2.x1.5  utc        2027-03-01T08:00  2027-03-01T09:00  08:10=3                          3.5
        bands.d10.x1.5      utc        2027-03-01T00:00  2027-03-02T00:00  -                                10
        bands.d10.x1.5      utc        2027-03-01T00:00  2027-03-02T00:00  08:00=4                          18
        bands.d10.x1.5      utc        2027-03-01T00:00  2027-03-02T00:00  00:30=4,12:00=8                  31
        bands.d10.x1.5      utc        2027-03-01T00:00  2027-03-02T00:00  12:00=8,00:30=4                  31
        bands.d10.x1.5      utc        2027-03-01T00:00  2027-03-02T00:00  12:00=10,21:00=2                 33
        bands.d10.period    utc        2027-03-01T00:00  2027-03-03T00:00  12:00=12                         44
        bands.d$10.x1.5     utc        2027-03-01T00:00  2027-03-02T00:00  -                                10
        bands.d$10.x1.5     utc        2027-03-01T00:00  2027-03-02T00:00  12:00=3                          10
        bands.d$10.x1.5     utc        2027-03-01T00:00  2027-03-02T00:00  12:00=4                          13
        bands.d$10.x1.5     utc        2027-03-01T00:00  2027-03-02T00:00  00:30=4,12:00=4                  19
        """;

    public static TheoryData<string, string, string, string, string, string> Table =>
    [
        .. Cases.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(cells => new TheoryDataRow<string, string, string, string, string, string>(
                cells[0], cells[1], cells[2], cells[3], cells[4], cells[5])),
    ];

    [Theory]
    [MemberData(nameof(Table))]
    public void An_amount_and_its_steps(string price, string zone, string from, string to, string uses, string amount)
    {
        var use = new WindowedUse(new(At(from), At(to)), Zones[zone], Uses(uses, from));
        var rated = Of(Prices[price], use);

        rated.Amount.ShouldBe(Exact(amount));
        rated.Breakdown.Sum(step => step.Amount).ShouldBe(rated.Amount);
        PriceRules.Faults(Prices[price]).ShouldBeEmpty();
        RateCommitment.Windows(Prices[price], use).ShouldAllBe(window => window.Breakdown.Sum(step => step.Amount) == window.Amount);
    }

    [Fact]
    public void A_month_of_hours_is_explained_by_band_and_kind()
    {
        var price = Banded(DayAndNight, committed: 2) with { OverageFactor = 1.5m };
        var march = new BillingPeriod(At("2027-03-01T00:00"), At("2027-04-01T00:00"));
        TimedUse[] uses = [.. Enumerable.Range(0, 744).Where(hour => hour % 2 == 0)
            .Select(hour => new TimedUse(march.Start + Duration.FromHours(hour), 3))];

        var rated = Of(price, new(march, DateTimeZone.Utc, uses));

        rated.Breakdown.Select(step => (step.Step, step.Band, step.Windows, step.Quantity, step.UnitAmount, step.OverageFactor, step.Amount))
            .ShouldBe(
            [
                (StepKind.Committed, "20:00-08:00", 186, 372, 1, null, 372),
                (StepKind.Committed, "08:00-20:00", 186, 372, 3, null, 1116),
                (StepKind.Overage, "20:00-08:00", 186, 186, 1, 1.5m, 279),
                (StepKind.Overage, "08:00-20:00", 186, 186, 3, 1.5m, 837),
                (StepKind.TrueUp, null, 186, 372, 1, null, 372),
                (StepKind.TrueUp, null, 186, 372, 3, null, 1116),
            ]);
        RateCommitment.Windows(price, new(march, DateTimeZone.Utc, uses)).Count.ShouldBe(744);
    }

    [Fact]
    public void Slices_sum_to_the_whole_to_the_cent_wherever_they_are_cut_and_whenever_use_is_known() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int[], bool>((anyUses, anyCuts, lateKnown) => Prices.Values.All(price =>
        {
            var uses = AnyUses(anyUses);
            var posted = Money.Zero(Currency.USD);
            (WindowedUse Use, bool Ended)? before = null;
            foreach (var cut in anyCuts.Select(Minute).Distinct().Order().Append(Span.End))
            {
                // Every other use is learned a slice late, and what was learned last after the period's end.
                TimedUse[] known = [.. uses.Where((use, index) => use.At < cut - (lateKnown && index % 2 == 0 ? Duration.FromDays(1) : Duration.Zero))];
                Post(new(Span with { End = cut }, Zones["berlin"], known), ended: cut == Span.End);
            }

            Post(new(Span, Zones["berlin"], uses), ended: true);
            return posted == Money.Round(Of(price, new(Span, Zones["berlin"], uses)).Amount, Currency.USD);

            void Post(WindowedUse use, bool ended)
            {
                var billed = before is { } it ? Of(price, it.Use, it.Ended).Amount : 0;
                posted += Rate.Slice(price, Measured(use), ended, billed, null, Currency.USD).Rounded;
                before = (use, ended);
            }
        })));

    [Fact]
    public void Splitting_use_its_order_and_use_of_nothing_change_nothing() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int>((any, seed) => Prices.Values.All(price =>
        {
            var uses = AnyUses(any);
            TimedUse[] split =
            [
                .. uses.SelectMany(use => new[] { use with { Quantity = use.Quantity - use.Quantity / 4 }, use with { Quantity = use.Quantity / 4 } }),
                .. uses.Select(use => use with { Quantity = 0 }), new(Span.Start, 0),
            ];
            new Random(seed).Shuffle(split);
            return Of(price, new(Span, Zones["berlin"], uses)) is var one && Of(price, new(Span, Zones["berlin"], split)) is var other
                && one.Amount == other.Amount && one.Breakdown.SequenceEqual(other.Breakdown);
        })));

    [Fact]
    public void More_use_never_costs_less_and_time_never_gives_back() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int[], bool>((any, more, ended) => Prices.Values.All(price =>
            Of(price, new(Span with { End = Span.End - Duration.FromHours(7) }, Zones["berlin"], Before(AnyUses(any), 7)), false).Amount
            <= Of(price, new(Span, Zones["berlin"], AnyUses(any)), ended).Amount
            && Of(price, new(Span, Zones["berlin"], AnyUses(any)), ended).Amount
            <= Of(price, new(Span, Zones["berlin"], [.. AnyUses(any), .. AnyUses(more)]), ended).Amount)));

    [Fact]
    public void An_amount_that_buys_the_committed_units_is_the_same_commitment() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], bool>((any, ended) =>
            Enum.GetValues<TrueUp>().SelectMany(trueUp => new[] { 1, 1.5m }.Select(factor => (trueUp, factor))).All(it =>
                new WindowedUse(Span, Zones["berlin"], AnyUses(any)) is var use
                && Of(Hours(5, it.trueUp, it.factor), use, ended).Amount == Of(OfAmount(10, it.trueUp, it.factor), use, ended).Amount)));

    [Theory]
    // bands as from-to:days -> field with a fault
    [InlineData("08:00-20:00", "bands[0].from")]
    [InlineData("00:00-20:00", "bands[0].to")]
    [InlineData("00:00-08:00 09:00-00:00", "bands[1].from")]
    [InlineData("00:00-08:00 07:00-00:00", "bands[1].from")]
    [InlineData("00:00-00:00 08:00-09:00", "bands[1].from")]
    [InlineData("20:00-08:00 08:00-19:00", "bands[0].from")]
    [InlineData("00:00-00:00:weekdays", "bands")]
    [InlineData("00:00-00:00:weekend", "bands")]
    [InlineData("00:00-00:00:weekend 00:00-00:00", "bands[1].from")]
    [InlineData("00:00-00:00", "")]
    [InlineData("12:00-12:00", "")]
    [InlineData("00:00-00:00:weekdays 00:00-12:00:weekend 12:00-00:00:weekend", "")]
    [InlineData("08:00-20:00:weekdays 20:00-08:00:weekdays 00:00-00:00:weekend", "")]
    public void Bands_cover_every_day_once(string bands, string field)
    {
        PriceBand[] read =
        [
            .. bands.Split(' ').Select(text => (Times: text[..11].Split('-'), Days: text[11..])).Select(it => Band(
                it.Times[0], it.Times[1], 1,
                it.Days switch { ":weekdays" => BandDays.Weekdays, ":weekend" => BandDays.Weekend, _ => BandDays.All })),
        ];

        var fields = PriceRules.Faults(Banded(read)).Select(fault => fault.Field).Distinct();
        if (field.Length == 0)
            fields.ShouldBeEmpty();
        else
            fields.ShouldContain(field);
    }

    private static BillingPeriod Span => new(At("2027-03-26T23:00"), At("2027-03-28T22:00"));

    private static WindowedCommitmentPrice Hours(decimal committed, TrueUp trueUp = TrueUp.Window, decimal? factor = null) => new(
        CommitmentWindow.Hour, UnitAmount: 2, [], committed, CommittedAmount: null, factor, OverageUnitAmount: null, trueUp, None);

    private static WindowedCommitmentPrice OfAmount(decimal committed, TrueUp trueUp = TrueUp.Window, decimal? factor = null) =>
        Hours(0, trueUp, factor) with { CommittedQuantity = null, CommittedAmount = committed };

    private static WindowedCommitmentPrice Banded(PriceBand[] bands, decimal? committed = null) => new(
        CommitmentWindow.Hour, UnitAmount: null, bands, committed, CommittedAmount: null, OverageFactor: null, OverageUnitAmount: null,
        WindowedCommitmentPrice.UsualTrueUp(committed), None);

    private static PriceBand Band(string from, string to, decimal unitAmount, BandDays days = BandDays.All) => new(
        LocalTimePattern.CreateWithInvariantCulture("HH:mm").Parse(from).Value,
        LocalTimePattern.CreateWithInvariantCulture("HH:mm").Parse(to).Value, unitAmount, days);

    private static Measured Measured(WindowedUse use) => new(use.Uses.Sum(it => it.Quantity), []) { Windows = use };

    private static Rated Of(PriceModel price, WindowedUse use, bool periodEnd = true) => Rate.Of(price, Measured(use), periodEnd);

    // Thousandths at any minute of two days, one of which has 23 hours.
    private static TimedUse[] AnyUses(int[] any) =>
        [.. any.Select((value, index) => new TimedUse(Minute(value * 31 + index * 977), Math.Abs((long)value % 9000) / 1000m))];

    private static TimedUse[] Before(TimedUse[] uses, int hours) =>
        [.. uses.Where(use => use.At < Span.End - Duration.FromHours(hours))];

    private static Instant Minute(int any) =>
        Span.Start + Duration.FromMinutes(1 + Math.Abs((long)any * 7919) % ((long)(Span.End - Span.Start).TotalMinutes - 1));

    private static TimedUse[] Uses(string text, string from)
    {
        if (text == "-")
            return [];
        var (day, uses) = (from[..10], new List<TimedUse>());
        foreach (var parts in text.Split(',').Select(part => part.Split('=')))
        {
            // A time without a date is on the date before it.
            day = parts[0].Length > 5 ? parts[0][..10] : day;
            uses.Add(new(At(parts[0].Length > 5 ? parts[0] : $"{day}T{parts[0]}"), Exact(parts[1])));
        }

        return [.. uses];
    }

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse($"{text}:00Z").Value;

    private static decimal Exact(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);
}
