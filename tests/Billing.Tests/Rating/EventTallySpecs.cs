using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Rating;

/// <summary>Single events priced in sums: what they owe is what each would owe by itself.</summary>
public class EventTallySpecs
{
    private static readonly Dictionary<string, PriceModel> Prices = new()
    {
        ["share"] = Share(),
        ["fixed"] = Share(fix: 0.25m),
        ["free2"] = Share(fix: 0.5m, freeEvents: 2),
        ["free100"] = Share(fix: 0.5m, freeAmount: 100),
        ["both"] = Share(fix: 0.5m, freeEvents: 3, freeAmount: 100),
        ["1to5"] = Share(minimum: 1, maximum: 5),
        ["all"] = Share(fix: 0.5m, freeEvents: 2, freeAmount: 50, minimum: 1, maximum: 3),
        ["brought"] = new DynamicPrice(UnitAmount: null, Limits.None),
        ["times2"] = new DynamicPrice(UnitAmount: 2, Limits.None),
    };

    /// <summary>One line per case: the price, the events as count*amount, or count*amount x multiplier, and the steps to what they owe.</summary>
    public static TheoryData<string, string, string> Cases => new()
    {
        { "share", "1*100 2*50", "event 3 of 200 = 2" },
        { "fixed", "1*100 2*50", "event 3 of 200 = 2.75" },
        { "fixed", "5*0", "" },
        { "free2", "3*10", "free 2 of 20 = 0, event 1 of 10 = 0.6" },
        { "free2", "1*300 2*10 1*20", "free 2 of 20 = 0, event 2 of 320 = 4.2" },
        { "free100", "3*30 1*200", "free 4 of 100 = 0, event 1 of 190 = 2.4" },
        { "free100", "4*25 1*200", "free 4 of 100 = 0, event 1 of 200 = 2.5" },
        { "free100", "1000000*0.0001", "free 1000000 of 100 = 0" },
        { "both", "5*10", "free 3 of 30 = 0, event 2 of 20 = 1.2" },
        { "both", "4*60", "free 2 of 100 = 0, event 3 of 140 = 2.9" },
        { "1to5", "2*100 3*99.99 1*500 4*500.01", "event 3 of 700 = 7, event_minimum 3 of 299.97 = 3, event_maximum 4 of 2000.04 = 20" },
        { "all", "2*10 1*30 1*60 1*1000", "free 2 of 20 = 0, event 1 of 60 = 1.1, event_minimum 1 of 30 = 1, event_maximum 1 of 1000 = 3" },
        { "brought", "3*2 1*0.5", "event 3 of 3 at 2 = 6, event 1 of 1 at 0.5 = 0.5" },
        { "brought", "2*2x1.5 1*2 1*0x7 1*7x0", "event 3 of 4 at 2 = 8" },
        { "brought", "1*2 3*x5 2*x", "event 1 of 1 at 2 = 2, unpriced 5 = 0" },
        { "times2", "3*x1.5 1*x0 1*x", "event 3 of 4.5 at 2 = 9, unpriced 1 = 0" },
        { "times2", "1*2x3 1*x4", "event 2 of 7 at 2 = 14" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Steps_are_sums_of_events_of_one_kind(string price, string events, string steps)
    {
        var tallied = EventTally.Of(Prices[price], Events(events));

        string.Join(", ", tallied.Select(Text)).ShouldBe(steps);
        Rate.Of(Prices[price], new(0, Events(events)), periodEnd: false).Breakdown.ShouldBe(tallied);
    }

    [Fact]
    public void However_many_prices_events_bring_there_is_a_bounded_number_of_steps_and_no_amount_is_lost()
    {
        PricedEvent[] events = [.. Enumerable.Range(1, 100_000).Select(cents => new PricedEvent(cents / 100m, Multiplier: 0.001m))];

        var steps = EventTally.Of(Prices["brought"], events);

        steps.Count.ShouldBe(EventTally.PricesMax + 1);
        steps.Sum(step => step.Amount).ShouldBe(50_000.5m);
        steps.Sum(step => step.Events).ShouldBe(100_000);
        steps.Select(step => step.UnitAmount).Take(2).ShouldBe([1000, 999.99m]);
        (steps[^1].Step, steps[^1].Events, steps[^1].UnitAmount).ShouldBe((StepKind.OtherEvents, 99_950, null));
    }

    [Fact]
    public void Events_out_of_order_are_refused_because_allowances_would_go_to_the_wrong_ones()
    {
        var tally = EventTally.By(Prices["free2"]);
        tally.Add(new(5));

        Should.Throw<InvalidOperationException>(() => tally.Add(new(4)));
    }

    [Fact]
    public void However_equal_events_are_put_together_they_owe_what_each_owes_by_itself() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int>((any, seed) => Prices.All(price =>
        {
            var random = new Random(seed);
            PricedEvent[] groups = [.. any.Select(number => Event(number, price.Key, count: random.Next(1, 6)))];
            PricedEvent[] singles = [.. groups.SelectMany(group => Enumerable.Repeat(group with { Count = 1 }, (int)group.Count))];
            random.Shuffle(singles);
            var (together, apart) = (EventTally.Of(price.Value, groups), EventTally.Of(price.Value, singles));
            return together.SequenceEqual(apart) && together.Sum(step => step.Amount) == OneByOne(price.Value, singles);
        })));

    [Fact]
    public void An_event_of_nothing_changes_nothing_and_another_event_never_costs_less() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int>((any, more) => Prices.All(price =>
        {
            PricedEvent[] events = [.. any.Select(number => Event(number, price.Key, count: 1))];
            var amount = Amount(events);
            return EventTally.Of(price.Value, [.. events, new(0, 0)]).SequenceEqual(EventTally.Of(price.Value, events))
                && Amount([.. events, Event(more, price.Key, count: 1)]) >= amount;

            decimal Amount(IEnumerable<PricedEvent> of) => EventTally.Of(price.Value, of).Sum(step => step.Amount);
        })));

    [Fact]
    public void However_a_period_is_cut_the_lines_of_its_slices_and_of_what_came_late_sum_to_one_run() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int[], int[]>((first, second, late) =>
            new[] { new Charge[] { ShareCharge }, [Brought] }.All(charges =>
            {
                var terms = Terms(feeCents: 0) with { Charges = charges };
                var name = charges[0] is PercentageCharge ? "all" : "brought";
                var (slice, rest) = (new BillingPeriod(FirstOfJanuary, Noon), new BillingPeriod(Noon, FirstOfFebruary));
                var january = new BillingPeriod(FirstOfJanuary, FirstOfFebruary);
                var (events, posted) = (new List<PricedEvent>(), Money.Zero(Currency.EUR));
                Bill(first, slice, isLate: false);
                Bill(second, rest, isLate: false);
                Bill(late, january, isLate: true);

                return posted == Money.Round(Rate.Of(charges[0].ToPrice(), new(0, events), periodEnd: true).Amount, Currency.EUR);

                void Bill(int[] any, BillingPeriod window, bool isLate)
                {
                    var before = events.ToArray();
                    events.AddRange(any.Select(number => Event(number, name, count: 1)));
                    var usage = new MeteredQuantity(
                        "sales", "EUR", any.Length, window, isLate, before.Length == 0 && !isLate ? null : before.Length)
                    {
                        Tallied = EventTally.Of(charges[0].ToPrice(), events),
                        TalliedBilled = EventTally.Of(charges[0].ToPrice(), before),
                    };
                    var period = isLate ? new BillingPeriod(FirstOfFebruary, FirstOfMarch) : window;
                    var whole = isLate ? period : january;
                    posted = RatePeriod.Rate(terms, period, whole, NodaTime.DateTimeZone.Utc, [usage])
                        .Aggregate(posted, (sum, line) => sum + line.Amount);
                }
            })));

    public static TheoryData<DynamicCharge, string> Sources => new()
    {
        { new("m", "M"), "price_key" },
        { new("m", "M", PriceKey: "p", AmountProperty: "price"), "amount_property" },
        { new("m", "M", PriceKey: "p", MultiplierProperty: "factor"), "multiplier_property" },
        { new("m", "M", PriceKey: "p", UnitAmount: 1), "unit_amount" },
        { new("m", "M", AmountProperty: "price", UnitAmount: 1, MultiplierProperty: "factor"), "unit_amount" },
        { new("m", "M", UnitAmount: 1), "multiplier_property" },
        { new("m", "M", AmountProperty: "price", UnitSize: 2), "unit_size" },
        { new("m", "M", AmountProperty: ""), "amount_property" },
        { new("m", "M", AmountProperty: "a\n"), "amount_property" },
        { new("m", "M", AmountProperty: "price", MultiplierProperty: "price"), "multiplier_property" },
        { new("m", "M", UnitAmount: -1, MultiplierProperty: "factor"), "unit_amount" },
        { new("m", "M", AmountProperty: "price") { FreeUnits = 1 }, "free_units" },
    };

    [Theory]
    [MemberData(nameof(Sources))]
    public void A_price_has_one_source(DynamicCharge charge, string field) =>
        PriceRules.Faults(charge).Select(fault => fault.Field).ShouldBe([field]);

    [Fact]
    public void Prices_of_events_that_make_sense_have_no_fault()
    {
        PriceRules.Faults(Brought).ShouldBeEmpty();
        PriceRules.Faults(new DynamicCharge("m", "M", UnitAmount: 1, MultiplierProperty: "factor")).ShouldBeEmpty();
        PriceRules.Faults(ShareCharge).ShouldBeEmpty();
    }

    private static readonly PercentageCharge ShareCharge = new(
        "sales", "Sales", 0.01m, FreeAmount: 50, FixedAmount: 0.5m, FreeEvents: 2, PerEventMinimum: 1, PerEventMaximum: 3)
    {
        MinimumAmount = 2,
    };

    private static readonly DynamicCharge Brought = new("sales", "Sales", AmountProperty: "price", MultiplierProperty: "factor")
    {
        MinimumAmount = 2,
    };

    // What the words of the terms say of each event, without any sum.
    private static decimal OneByOne(PriceModel price, IEnumerable<PricedEvent> events)
    {
        if (price is DynamicPrice dynamic)
            return events.Sum(each => (each.Amount ?? (each.Multiplier is null ? 0 : dynamic.UnitAmount ?? 0)) * (each.Multiplier ?? 1));

        var (share, owed) = ((PercentagePrice)price, 0m);
        var freeEvents = share.FreeEvents > 0 ? share.FreeEvents : share.FreeAmount > 0 ? int.MaxValue : 0;
        var freeAmount = share.FreeAmount > 0 ? share.FreeAmount : decimal.MaxValue;
        foreach (var amount in events.Select(each => each.Amount ?? 0).Where(amount => amount > 0).Order())
        {
            var free = freeEvents > 0 ? Math.Min(amount, freeAmount) : 0;
            if (free > 0)
                (freeEvents, freeAmount) = (freeEvents - 1, freeAmount == decimal.MaxValue ? freeAmount : freeAmount - free);
            if (free < amount)
            {
                var by = (amount - free) * share.Rate + share.FixedAmount;
                owed += Math.Min(Math.Max(by, share.PerEventMinimum ?? by), share.PerEventMaximum ?? decimal.MaxValue);
            }
        }

        return owed;
    }

    // Few amounts, so that they meet; amounts with and without multiplier, and events without a price.
    private static PricedEvent Event(int any, string price, long count)
    {
        var number = Math.Abs((long)any);
        var amount = number % 40 * 12.345m;
        decimal? multiplier = (number / 40 % 4) switch { 0 => null, var it => it * 0.75m };
        return price switch
        {
            "brought" => new(number % 41 == 40 ? null : amount, multiplier, count),
            "times2" => new(null, multiplier, count),
            _ => new(amount, null, count),
        };
    }

    private static PercentagePrice Share(
        decimal fix = 0, int freeEvents = 0, decimal freeAmount = 0, decimal? minimum = null, decimal? maximum = null) =>
        new(Rate: 0.01m, fix, freeEvents, freeAmount, minimum, maximum, Limits.None);

    private static PricedEvent[] Events(string text) =>
    [
        .. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(it => it.Split('*', 'x')).Select(it => new PricedEvent(
            Number(it[1]), it.Length == 3 ? Number(it[2]) : null, long.Parse(it[0], CultureInfo.InvariantCulture))),
    ];

    private static decimal? Number(string text) => text.Length == 0 ? null : decimal.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(RatingStep step)
    {
        var kind = System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(step.Step.ToString());
        var quantity = step.Quantity is { } units ? $" of {Decimals.Format(units)}" : "";
        var each = step.UnitAmount is { } price ? $" at {Decimals.Format(price)}" : "";
        return $"{kind} {step.Events}{quantity}{each} = {Decimals.Format(step.Amount)}";
    }
}
