using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.Tests.Rating;

public class RateSpecs
{
    private static readonly Limits None = Limits.None;
    private static readonly Tier[] TwoTiers = [new(10, 10, 2), new(null, 5, 3)];
    private static readonly Tier[] ThreeTiers = [new(5, 1), new(15, 0.5m, 1), new(null, 0.1m, 2)];
    private static readonly Tier[] VolumeTiers = [new(10, 10), new(15, 8, 5), new(null, 5, 7)];
    private static readonly RateTier[] RateTiers = [new(100, 0.02m, 1), new(1000, 0.01m, 2), new(null, 0.005m)];

    internal static readonly Dictionary<string, PriceModel> Prices = new()
    {
        ["flat"] = new FlatPrice(30, None),
        ["flat.min50"] = new FlatPrice(30, new(MinimumAmount: 50)),
        ["flat.max20"] = new FlatPrice(30, new(MaximumAmount: 20)),
        ["unit"] = new PerUnitPrice(2.5m, None),
        ["unit.free10"] = new PerUnitPrice(2.5m, new(FreeUnits: 10)),
        ["unit.min100"] = new PerUnitPrice(2.5m, new(MinimumAmount: 100)),
        ["unit.max100"] = new PerUnitPrice(2.5m, new(MaximumAmount: 100)),
        ["unit.all"] = new PerUnitPrice(2.5m, new(FreeUnits: 10, MinimumAmount: 5, MaximumAmount: 20)),
        ["grad"] = new GraduatedPrice(TwoTiers, None),
        ["grad3"] = new GraduatedPrice(ThreeTiers, None),
        ["grad.free5"] = new GraduatedPrice(TwoTiers, new(FreeUnits: 5)),
        ["grad.max100"] = new GraduatedPrice(TwoTiers, new(MaximumAmount: 100)),
        ["grad.min50"] = new GraduatedPrice(TwoTiers, new(MinimumAmount: 50)),
        ["volume"] = new VolumePrice(VolumeTiers, None),
        ["volume2"] = new VolumePrice([new(15, 2, 1), new(null, 1, 4)], None),
        ["volume.free10"] = new VolumePrice(VolumeTiers, new(FreeUnits: 10)),
        ["package"] = new PackagePrice(10, 4, PackageRounding.Up, None),
        ["package.free5"] = new PackagePrice(10, 4, PackageRounding.Up, new(FreeUnits: 5)),
        ["package.down"] = new PackagePrice(10, 4, PackageRounding.Down, None),
        ["package.half"] = new PackagePrice(0.5m, 1, PackageRounding.Up, None),
        ["package.3"] = new PackagePrice(3, 1, PackageRounding.Up, None),
        ["package.10to30"] = new PackagePrice(10, 4, PackageRounding.Up, new(MinimumAmount: 10, MaximumAmount: 30)),
        ["pct"] = Percentage(0.013m),
        ["pct.fixed"] = Percentage(0.013m, fix: 0.25m),
        ["pct.free2"] = Percentage(0.01m, fix: 0.5m, freeEvents: 2),
        ["pct.free100"] = Percentage(0.01m, fix: 0.5m, freeAmount: 100),
        ["pct.both"] = Percentage(0.01m, fix: 0.5m, freeEvents: 3, freeAmount: 100),
        ["pct.1to5"] = new PercentagePrice(0.01m, 0, 0, 0, PerEventMinimum: 1, PerEventMaximum: 5, None),
        ["pct.10to20"] = new PercentagePrice(0.01m, 0, 0, 0, null, null, new(MinimumAmount: 10, MaximumAmount: 20)),
        ["gpct"] = new GraduatedPercentagePrice(RateTiers, None),
        ["gpct.free100"] = new GraduatedPercentagePrice(RateTiers, new(FreeUnits: 100)),
        ["dynamic"] = new DynamicPrice(UnitAmount: null, None),
        ["dynamic.2"] = new DynamicPrice(UnitAmount: 2, None),
        ["dynamic.max10"] = new DynamicPrice(UnitAmount: null, new(MaximumAmount: 10)),
        ["dynamic.min10"] = new DynamicPrice(UnitAmount: null, new(MinimumAmount: 10)),
    };

    // price, quantity, events (amount, amount x multiplier, or x multiplier), amount at the end of the period
    private const string Cases =
        """
        flat            0                 -               30
        flat            1                 -               30
        flat            999999            -               30
        flat.min50      0                 -               50
        flat.max20      5                 -               20

        unit            0                 -               0
        unit            1                 -               2.5
        unit            0.5               -               1.25
        unit            3                 -               7.5
        unit            1000000           -               2500000
        unit            0.000000001       -               0.0000000025
        unit.free10     0                 -               0
        unit.free10     9.999             -               0
        unit.free10     10                -               0
        unit.free10     10.5              -               1.25
        unit.free10     11                -               2.5
        unit.free10     20                -               25
        unit.min100     0                 -               100
        unit.min100     39                -               100
        unit.min100     40                -               100
        unit.min100     41                -               102.5
        unit.max100     0                 -               0
        unit.max100     39                -               97.5
        unit.max100     40                -               100
        unit.max100     41                -               100
        unit.max100     1000000           -               100
        unit.all        0                 -               5
        unit.all        10                -               5
        unit.all        11                -               5
        unit.all        12                -               5
        unit.all        13                -               7.5
        unit.all        18                -               20
        unit.all        19                -               20
        unit.all        100               -               20

        grad            0                 -               2
        grad            0.5               -               7
        grad            1                 -               12
        grad            9.5               -               97
        grad            10                -               102
        grad            10.000000001      -               105.000000005
        grad            10.5              -               107.5
        grad            11                -               110
        grad            12                -               115
        grad            15                -               130
        grad            20                -               155
        grad            1000              -               5055
        grad3           0                 -               0
        grad3           4                 -               4
        grad3           5                 -               5
        grad3           5.5               -               6.25
        grad3           6                 -               6.5
        grad3           15                -               11
        grad3           15.5              -               13.05
        grad3           16                -               13.1
        grad3           115               -               23
        grad.free5      0                 -               2
        grad.free5      5                 -               2
        grad.free5      6                 -               12
        grad.free5      15                -               102
        grad.free5      15.5              -               107.5
        grad.free5      16                -               110
        grad.max100     9                 -               92
        grad.max100     10                -               100
        grad.max100     11                -               100
        grad.min50      0                 -               50
        grad.min50      4                 -               50
        grad.min50      5                 -               52

        volume          0                 -               0
        volume          1                 -               10
        volume          10                -               100
        volume          10.5              -               89
        volume          11                -               93
        volume          15                -               125
        volume          15.5              -               84.5
        volume          16                -               87
        volume          1000              -               5007
        volume2         0                 -               1
        volume2         15                -               31
        volume2         15.5              -               19.5
        volume2         16                -               20
        volume.free10   10                -               0
        volume.free10   20                -               100
        volume.free10   20.5              -               89
        volume.free10   25                -               125
        volume.free10   26                -               87

        package         0                 -               0
        package         0.1               -               4
        package         1                 -               4
        package         9.999             -               4
        package         10                -               4
        package         10.000000001      -               8
        package         11                -               8
        package         20                -               8
        package         21                -               12
        package         100               -               40
        package.free5   0                 -               0
        package.free5   5                 -               0
        package.free5   5.5               -               4
        package.free5   15                -               4
        package.free5   15.5              -               8
        package.free5   16                -               8
        package.down    9                 -               0
        package.down    10                -               4
        package.down    19.999            -               4
        package.down    20                -               8
        package.half    0.5               -               1
        package.half    0.6               -               2
        package.half    1                 -               2
        package.half    1.25              -               3
        package.3       1                 -               1
        package.3       3                 -               1
        package.3       3.000000001       -               2
        package.3       9                 -               3
        package.3       9.1               -               4
        package.3       999999999999      -               333333333333
        package.10to30  0                 -               10
        package.10to30  20                -               10
        package.10to30  21                -               12
        package.10to30  70                -               28
        package.10to30  75                -               30

        pct             0                 -               0
        pct             200               -               2.6
        pct             0                 200             2.6
        pct             0                 100,100         2.6
        pct             0                 0               0
        pct             0                 0.01            0.00013
        pct.fixed       0                 200             2.85
        pct.fixed       0                 200,0           2.85
        pct.fixed       0                 100,100         3.1
        pct.free2       0                 100             0
        pct.free2       0                 100,200         0
        pct.free2       0                 100,200,300     3.5
        pct.free2       0                 300,200,100     3.5
        pct.free2       0                 0,100,200       0
        pct.free100     0                 100             0
        pct.free100     0                 60,40           0
        pct.free100     0                 60,60           0.7
        pct.free100     0                 100.01          0.5001
        pct.free100     0                 150             1
        pct.free100     0                 10,20,200       1.8
        pct.both        0                 10,20,30        0
        pct.both        0                 10,20,30,40     0.9
        pct.both        0                 50,60           0.6
        pct.both        0                 10,20,30,5      0.8
        pct.1to5        0                 0               0
        pct.1to5        0                 50              1
        pct.1to5        0                 100             1
        pct.1to5        0                 101             1.01
        pct.1to5        0                 500             5
        pct.1to5        0                 501             5
        pct.1to5        0                 50,1000         6
        pct.10to20      0                 0               10
        pct.10to20      0                 100             10
        pct.10to20      0                 1500            15
        pct.10to20      0                 5000            20

        gpct            0                 -               1
        gpct            50                -               2
        gpct            100               -               3
        gpct            100.01            -               5.0001
        gpct            1000              -               14
        gpct            2000              -               19
        gpct            0                 60,40           3
        gpct            0                 60,50           5.1
        gpct.free100    100               -               1
        gpct.free100    150               -               2

        dynamic         0                 -               0
        dynamic         0                 5               5
        dynamic         0                 5,2.5           7.5
        dynamic         0                 0               0
        dynamic         0                 5x3             15
        dynamic.2       0                 x3              6
        dynamic.2       0                 x0              0
        dynamic.2       0                 5x2,x1.5        13
        dynamic.max10   0                 5,6             10
        dynamic.min10   0                 -               10
        dynamic.min10   0                 4               10
        """;

    public static TheoryData<string, string, string, string> Table =>
    [
        .. Cases.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Select(cells => new TheoryDataRow<string, string, string, string>(cells[0], cells[1], cells[2], cells[3])),
    ];

    [Theory]
    [MemberData(nameof(Table))]
    public void An_amount_and_its_steps(string price, string quantity, string events, string amount)
    {
        var rated = Rate.Of(Prices[price], new(Exact(quantity), Events(events)), periodEnd: true);

        rated.Amount.ShouldBe(Exact(amount));
        rated.Breakdown.Sum(step => step.Amount).ShouldBe(rated.Amount);
        PriceRules.Faults(Prices[price]).ShouldBeEmpty();
    }

    [Fact]
    public void Every_model_is_in_the_table() =>
        Prices.Values.Concat(CommitmentSpecs.Prices.Values).Append(BookPriceSpecs.Price).Select(price => price.GetType()).Distinct().ShouldBe(
            typeof(PriceModel).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(PriceModel))), ignoreOrder: true);

    [Theory]
    // price, already billed quantity, quantity, period end -> exact amount, posted
    [InlineData("grad", "10", "11", true, "8", "8.00")]
    [InlineData("grad", "11", "11", true, "0", "0.00")]
    [InlineData("unit.min100", "10", "20", false, "25", "25.00")]
    [InlineData("unit.min100", "10", "20", true, "75", "75.00")]
    [InlineData("unit.max100", "38", "50", false, "5", "5.00")]
    [InlineData("unit.free10", "8", "12", true, "5", "5.00")]
    [InlineData("package", "11", "19", true, "0", "0.00")]
    [InlineData("package", "11", "21", true, "4", "4.00")]
    [InlineData("volume", "15", "16", true, "-38", "-38.00")]
    [InlineData("unit", "0.002", "0.004", true, "0.005", "0.00")]
    [InlineData("unit", "0.001", "0.002", true, "0.0025", "0.01")]
    public void A_slice_is_what_all_owes_less_what_was_billed(
        string price, string already, string quantity, bool periodEnd, string amount, string posted)
    {
        var billed = Rate.Of(Prices[price], Measured.Units(Exact(already)), periodEnd: false).Amount;
        var slice = Rate.Slice(
            Prices[price], Measured.Units(Exact(quantity)), periodEnd, billed, Exact(already), Currency.EUR);

        slice.Amount.ShouldBe(Exact(amount));
        slice.Rounded.Amount.ShouldBe(Exact(posted));
        slice.Breakdown.Sum(step => step.Amount).ShouldBe(slice.Amount);
    }

    [Fact]
    public void Steps_can_be_written_though_their_factors_are_very_long()
    {
        var rated = Rate.Of(new PerUnitPrice(999_999_999.999999999999m, None), Measured.Units(999_999_999_999_999.999999999m), true);

        Decimals.TryParse(Decimals.Format(rated.Amount), out _).ShouldBeTrue();
        Decimals.TryParse(Decimals.Format(rated.Breakdown[0].Amount), out _).ShouldBeTrue();
    }

    [Fact]
    public void Slices_sum_to_the_whole_to_the_cent() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], bool>((parts, feedRounded) => Prices.Values.Where(price => price is not DynamicPrice).All(price =>
        {
            var (quantity, billed, exact, posted) = (0m, 0m, 0m, Money.Zero(Currency.USD));
            decimal[] quantities = [.. parts.Select(Quantity), 0];
            foreach (var (index, part) in quantities.Index())
            {
                quantity += part;
                var last = index == quantities.Length - 1;
                var slice = Rate.Slice(price, Measured.Units(quantity), last, billed, null, Currency.USD);
                (exact, posted) = (exact + slice.Amount, posted + slice.Rounded);

                // What was billed may be told exactly or as it was posted: the cents are the same.
                billed = feedRounded ? posted.Amount : exact;
            }

            var whole = Rate.Of(price, Measured.Units(quantity), periodEnd: true).Amount;
            return posted == Money.Round(whole, Currency.USD) && (feedRounded || exact == whole);
        })));

    [Fact]
    public void The_order_of_events_never_matters() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int>((amounts, seed) =>
        {
            PricedEvent[] events = [.. amounts.Select(amount => new PricedEvent(Quantity(amount)))];
            var shuffled = events.ToArray();
            new Random(seed).Shuffle(shuffled);
            return Prices.Values.All(price =>
                Rate.Of(price, new(7, events), true) is var one && Rate.Of(price, new(7, shuffled), true) is var other
                && one.Amount == other.Amount && one.Breakdown.SequenceEqual(other.Breakdown));
        }));

    [Fact]
    public void An_event_of_nothing_changes_nothing() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<NonEmptyArray<int>>(amounts =>
        {
            PricedEvent[] events = [.. amounts.Get.Select(amount => new PricedEvent(Quantity(amount)))];
            return Prices.Values.All(price =>
                Rate.Of(price, new(0, events), true).Amount == Rate.Of(price, new(0, [.. events, new(0)]), true).Amount);
        }));

    [Fact]
    public void No_amount_is_negative_and_steps_sum_to_it() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int, int[], bool>((quantity, amounts, periodEnd) =>
        {
            var measured = new Measured(Quantity(quantity), [.. amounts.Select(amount => new PricedEvent(Quantity(amount)))]);
            return Prices.Values.All(price =>
                Rate.Of(price, measured, periodEnd) is var rated && rated.Amount >= 0
                && rated.Breakdown.Sum(step => step.Amount) == rated.Amount);
        }));

    // What the ledger measures has no events of its own, and a volume price falls where a tier ends.
    [Fact]
    public void More_units_never_cost_less_but_at_the_end_of_a_volume_tier() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int, int>((first, more) => Prices.Values.Where(price => price is not VolumePrice).All(price =>
            Rate.Of(price, Measured.Units(Quantity(first)), false).Amount
            <= Rate.Of(price, Measured.Units(Quantity(first) + Quantity(more)), true).Amount)));

    private static PercentagePrice Percentage(decimal rate, decimal fix = 0, int freeEvents = 0, decimal freeAmount = 0) =>
        new(rate, fix, freeEvents, freeAmount, PerEventMinimum: null, PerEventMaximum: null, None);

    private static PricedEvent[] Events(string text) => text == "-" ? [] :
    [
        .. text.Split(',').Select(it => it.Split('x')).Select(it => new PricedEvent(
            it[0].Length == 0 ? null : Exact(it[0]), it.Length == 1 ? null : Exact(it[1]))),
    ];

    // Thousandths, so that cents have to be rounded.
    private static decimal Quantity(int any) => Math.Abs((long)any) / 1000m;

    private static decimal Exact(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);
}
