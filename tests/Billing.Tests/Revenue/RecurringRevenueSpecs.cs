using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.Rating;
using Platform.Billing.Revenue;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Revenue;

/// <summary>What recurs of a tenant and how it moves, folded from its events alone.</summary>
public class RecurringRevenueSpecs
{
    private static readonly SubscriptionId Other = new(Guid.Parse("0198c0de-0000-7000-8000-000000000009"));
    private static readonly Instant Tenth = Instant.FromUtc(2026, 1, 10, 0, 0);

    /// <summary>An event of another stream than the subscription's.</summary>
    private sealed record Of(Guid Stream, object Event);

    [Theory]
    // interval, fee and currency, quantity -> a month, a year
    [InlineData(BillingInterval.Month, 100_00, "EUR", 1, "100.00", "1200.00")]
    [InlineData(BillingInterval.Month, 100_00, "EUR", 3, "300.00", "3600.00")]
    [InlineData(BillingInterval.Month, 0, "EUR", 3, "0.00", "0.00")]
    [InlineData(BillingInterval.Year, 1200_00, "EUR", 1, "100.00", "1200.00")]
    [InlineData(BillingInterval.Year, 100_00, "EUR", 1, "8.33", "100.00")]
    [InlineData(BillingInterval.Year, 100_00, "EUR", 3, "25.00", "300.00")]
    [InlineData(BillingInterval.Year, 6, "EUR", 1, "0.01", "0.06")]
    [InlineData(BillingInterval.Quarter, 100_00, "EUR", 1, "33.33", "400.00")]
    [InlineData(BillingInterval.Quarter, 99_99, "EUR", 2, "66.66", "799.92")]
    [InlineData(BillingInterval.Week, 10_00, "EUR", 1, "43.33", "520.00")]
    [InlineData(BillingInterval.Week, 3_00, "EUR", 1, "13.00", "156.00")]
    [InlineData(BillingInterval.Year, 100, "JPY", 1, "8", "100")]
    [InlineData(BillingInterval.Year, 1_000, "KWD", 1, "0.083", "1.000")]
    public void A_fee_is_a_twelfth_of_what_it_comes_to_in_a_year_of_52_weeks(
        BillingInterval interval, long fee, string code, int quantity, string month, string year)
    {
        var currency = Currency.Parse(code);
        var tenant = After(Started() with
        {
            Cycle = Monthly with { Interval = interval },
            RecurringFee = new(fee, currency),
            Quantity = quantity,
        });

        var annual = tenant.Movements.Sum(movement => movement.Annual);

        new Money(annual, currency).Amount.ToString(CultureInfo.InvariantCulture).ShouldBe(year);
        MonthlyRecurringRevenue.Rounded(annual, currency).Amount.ToString(CultureInfo.InvariantCulture).ShouldBe(month);
    }

    /// <summary>One line per case: what happened -> each movement by day, kind and amount a month. The plan costs 100.00 a month.</summary>
    public static TheoryData<string, object[], string> Lives => new()
    {
        { "it starts", [Started()], "01-01 New 100" },
        { "a plan for nothing", [Started() with { RecurringFee = new(0, Currency.EUR) }], "" },
        { "a trial costs nothing", [Started() with { TrialEnd = FirstOfMarch }], "03-01 New 100" },
        { "and ends", [Started() with { TrialEnd = FirstOfMarch }, new TrialEnded(FirstOfMarch, FirstOfMarch)], "03-01 New 100" },
        {
            "and ends earlier than agreed",
            [Started() with { TrialEnd = FirstOfMarch }, new TrialEndChanged(FirstOfFebruary, Monthly, Noon)], "02-01 New 100"
        },
        { "more of it", [Started(), new QuantityChanged(3, Noon, Noon)], "01-01 New 100, 01-31 Expansion 200" },
        {
            "more, then less", [Started(), new QuantityChanged(3, Noon, Noon), new QuantityChanged(2, FirstOfMarch, Noon)],
            "01-01 New 100, 01-31 Expansion 200, 03-01 Contraction -100"
        },
        {
            "of two opinions about one time the newer one holds",
            [Started(), new QuantityChanged(3, FirstOfMarch, Noon), new QuantityChanged(1, FirstOfFebruary, Noon)], "01-01 New 100"
        },
        {
            "a pause and its end", [Started(), new SubscriptionPaused(FirstOfFebruary, Noon), new SubscriptionResumed(FirstOfMarch, FirstOfMarch)],
            "01-01 New 100, 02-01 Churn -100, 03-01 Reactivation 100"
        },
        {
            "a pause that is taken back before it begins",
            [Started(), new SubscriptionPaused(FirstOfFebruary, Noon), new SubscriptionResumed(Noon, Noon)], "01-01 New 100"
        },
        {
            "a cheaper plan by the year, to come", [Started(), YearlyFrom(FirstOfFebruary)], "01-01 New 100, 02-01 Contraction -50"
        },
        {
            "and there", [Started(), YearlyFrom(FirstOfFebruary), Changed(FirstOfFebruary)], "01-01 New 100, 02-01 Contraction -50"
        },
        { "and taken back", [Started(), YearlyFrom(FirstOfFebruary), new PlanChangeWithdrawn(Noon)], "01-01 New 100" },
        { "another plan in the trial", [Started() with { TrialEnd = FirstOfMarch }, YearlyFrom(Noon), Changed(Noon)], "03-01 New 50" },
        { "the end to come", [Started(), CancelledAt(FirstOfFebruary)], "01-01 New 100, 02-01 Churn -100" },
        { "the end", [Started(), CancelledAt(FirstOfFebruary), Ended()], "01-01 New 100, 02-01 Churn -100" },
        { "no end", [Started(), CancelledAt(FirstOfFebruary), new CancellationWithdrawn(Noon)], "01-01 New 100" },
        { "an end within the trial", [Started() with { TrialEnd = FirstOfMarch }, CancelledAt(Noon)], "" },
        { "an add-on", [Started(), AddOnAttached()], "01-01 New 100, 01-31 Expansion 6.2" },
        {
            "and without it", [Started(), AddOnAttached(), new Of(TheSubscribedAddOn.Value, new AddOnRemoved(FirstOfMarch))],
            "01-01 New 100, 01-31 Expansion 6.2, 03-01 Contraction -6.2"
        },
        { "what is owed once does not recur", [Started(), AddOnAttached(AddOnKind.OneOff)], "01-01 New 100" },
        {
            "an add-on is owed in a trial", [Started() with { TrialEnd = FirstOfMarch }, AddOnAttached()],
            "01-31 New 6.2, 03-01 Expansion 100"
        },
        {
            "and in a pause", [Started(), AddOnAttached(), new SubscriptionPaused(FirstOfFebruary, Noon)],
            "01-01 New 100, 01-31 Expansion 6.2, 02-01 Contraction -100"
        },
        {
            "an add-on ends with its subscription", [Started(), AddOnAttached(), CancelledAt(FirstOfFebruary), Ended()],
            "01-01 New 100, 01-31 Expansion 6.2, 02-01 Churn -106.2"
        },
        {
            "an add-on is owed by the plan's periods", [Started(), YearlyFrom(FirstOfFebruary), AddOnAttached(at: FirstOfMarch)],
            "01-01 New 100, 02-01 Contraction -50, 03-01 Expansion 0.52"
        },
        { "another subscription of the tenant", [Started(), Second(Tenth)], "01-01 New 100, 01-10 Expansion 100" },
        {
            "of which one ends", [Started(), Second(Tenth), CancelledAt(FirstOfFebruary), Ended()],
            "01-01 New 100, 01-10 Expansion 100, 02-01 Contraction -100"
        },
        {
            "one after the other", [Started(), CancelledAt(FirstOfFebruary), Ended(), Second(FirstOfFebruary)], "01-01 New 100"
        },
        {
            "back after a while", [Started(), CancelledAt(FirstOfFebruary), Ended(), Second(FirstOfMarch)],
            "01-01 New 100, 02-01 Churn -100, 03-01 Reactivation 100"
        },
    };

    [Theory]
    [MemberData(nameof(Lives))]
    public void What_recurs_moves_when_it_takes_effect(string life, object[] events, string movements) =>
        string.Join(", ", After(events).Movements.Select(it => string.Create(
            CultureInfo.InvariantCulture,
            $"{it.At.InUtc().Date:MM-dd} {it.Kind} {Decimals.Canonical(MonthlyRecurringRevenue.Rounded(it.Annual, Currency.EUR).Amount)}"))).ShouldBe(movements, life);

    [Fact]
    public void Months_are_rounded_so_that_start_and_movements_sum_to_the_end()
    {
        MrrMonth.Moved[] moved =
        [
            new(new(2025, 12), MrrMovementKind.New, 100_00), new(new(2026, 1), MrrMovementKind.New, 100_00),
            new(new(2026, 2), MrrMovementKind.New, 100_00), new(new(2026, 2), MrrMovementKind.Churn, -100_00),
            new(new(2026, 4), MrrMovementKind.Contraction, -199_00),
        ];

        var months = MrrMonth.Of(Currency.EUR, moved, new(2026, 1), new(2026, 4));

        months.Select(it => $"{it.Month}: {it.Start.Amount} {it.New.Amount} {it.Contraction.Amount} {it.Churn.Amount} {it.End.Amount}").ShouldBe(
        [
            "2026-01: 8.33 8.34 0.00 0.00 16.67",
            "2026-02: 16.67 8.33 0.00 -8.33 16.67",
            "2026-03: 16.67 0.00 0.00 0.00 16.67",
            "2026-04: 16.67 0.00 -16.59 0.00 0.08",
        ]);
    }

    /// <summary>One step of a tenant's life: days later, one of the things that can happen to one of its two subscriptions.</summary>
    private sealed record Step(int Days, int What, bool Second, int Quantity);

    private static readonly Gen<IReadOnlyList<Step>> Steps =
        from steps in (
            from days in Gen.Choose(0, 40)
            from what in Gen.Choose(0, 9)
            from second in Gen.Elements(true, false)
            from quantity in Gen.Choose(1, 9)
            select new Step(days, what, second, quantity)).ListOf(25)
        select (IReadOnlyList<Step>)[.. steps];

    [Fact]
    public void Movements_up_to_any_time_sum_to_what_recurs_then_and_each_has_the_kind_that_it_seems() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Arb.From(Steps), steps =>
        {
            var tenant = After(Happened(steps));
            var (recurs, paidBefore) = (0L, false);
            foreach (var movement in tenant.Movements)
            {
                recurs += movement.Annual;
                if (recurs != tenant.Subscriptions.Sum(it => it.AnnualAt(movement.At)) || recurs < 0)
                    return false;
                if (MrrMovement.Between(recurs - movement.Annual, recurs, paidBefore) != movement.Kind)
                    return false;
                paidBefore |= recurs > 0;
            }

            // Between its turns nothing moves.
            return tenant.Subscriptions.SelectMany(it => it.Turns).All(turn =>
                tenant.Movements.Where(it => it.At <= turn).Sum(it => it.Annual) == tenant.Subscriptions.Sum(it => it.AnnualAt(turn)));
        }));

    [Fact]
    public void Each_month_begins_where_the_one_before_ended_and_its_movements_sum_to_the_cent() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Arb.From(Steps), steps =>
        {
            var moved = After(Happened(steps)).Movements
                .Select(it => new MrrMonth.Moved(it.At.InUtc().Date.ToYearMonth(), it.Kind, it.Annual)).ToList();
            var months = MrrMonth.Of(Currency.EUR, moved, new(2026, 2), new(2028, 6)).ToList();
            return months.All(it => it.Start + it.New + it.Expansion + it.Contraction + it.Churn + it.Reactivation == it.End)
                && months.Zip(months.Skip(1)).All(pair => pair.First.End == pair.Second.Start);
        }));

    // Only what can follow: a subscription changes while it runs, and starts once.
    private static IEnumerable<object> Happened(IReadOnlyList<Step> steps)
    {
        var (now, running, started) = (FirstOfJanuary, new HashSet<SubscriptionId> { TheSubscription }, false);
        yield return Started() with { Cycle = Monthly with { Interval = BillingInterval.Year }, TrialEnd = Tenth };
        foreach (var (index, step) in steps.Index())
        {
            now += Duration.FromDays(step.Days);
            var id = step.Second ? Other : TheSubscription;
            if (step.Second && !started)
            {
                (started, _) = (true, running.Add(Other));
                yield return Second(now) with { Quantity = step.Quantity, Cycle = Monthly with { Interval = BillingInterval.Week } };
            }
            else if (running.Contains(id))
            {
                object @event = step.What switch
                {
                    0 or 1 => new QuantityChanged(step.Quantity, now, now),
                    2 => new SubscriptionPaused(now + Duration.FromDays(3), now),
                    3 => new SubscriptionResumed(now, now),
                    4 => YearlyFrom(now) with { RecurringFee = new(step.Quantity * 77_77, Currency.EUR) },
                    5 => new PlanChangeWithdrawn(now),
                    6 => AddOnAttached(at: now) with { SubscriptionId = id, SubscribedAddOnId = AddOn(index) },
                    // One of those attached before, or none.
                    7 => new Of(AddOn(index - step.Quantity).Value, new AddOnRemoved(now)),
                    8 => new CancellationWithdrawn(now),
                    _ => CancelledAt(now),
                };
                if (@event is CancellationScheduled)
                    running.Remove(id);
                yield return @event is SubscriptionEvent ? new Of(id.Value, @event) : @event;
            }
        }

        static SubscribedAddOnId AddOn(int step) => new(new Guid(step, 0, 0, new byte[8]));
    }

    private static PlanChangeScheduled YearlyFrom(Instant at) =>
        new(ThePlan, PlanVersion: 2, Monthly with { Interval = BillingInterval.Year }, new(600_00, Currency.EUR), at, at);

    private static PlanChanged Changed(Instant at) =>
        new(ThePlan, PlanVersion: 2, Monthly with { Interval = BillingInterval.Year }, new(600_00, Currency.EUR), at, at);

    private static SubscriptionStarted Second(Instant at) => Started() with { SubscriptionId = Other, StartedAt = at };

    private static RecurringRevenue After(params IEnumerable<object> events) => events.Aggregate(
        default(RecurringRevenue),
        (tenant, it) => it is Of of
            ? RecurringRevenue.Fold(tenant, of.Event, of.Stream)
            : RecurringRevenue.Fold(tenant, it, TheSubscription.Value))!;
}
