using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using Subscription = Platform.Billing.Subscriptions.Subscription;

/// <summary>
/// Laws of the recurring fee over the lives of subscriptions: random quantities, pauses, changes of plan and closes, in random zones
/// and intervals, decided and rated by the pure core alone.
/// </summary>
public class FeeLawSpecs
{
    private static readonly string[] Zones =
    [
        "Etc/UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Australia/Lord_Howe", "Asia/Kolkata",
    ];

    /// <summary>One step of a life: some hours later, one of the things that can happen.</summary>
    private sealed record Step(int Hours, int What, int Quantity);

    private sealed record Life(
        string Zone, BillingInterval Interval, BillingAnchor Anchor, int AnchorDay, Proration Proration, int StartHour, long FeeCents,
        IReadOnlyList<Step> Steps);

    private static readonly Gen<Life> Lives =
        from zone in Gen.Elements(Zones)
        from interval in Gen.Elements(Enum.GetValues<BillingInterval>())
        from anchor in Gen.Elements(Enum.GetValues<BillingAnchor>())
        from anchorDay in Gen.Elements(1, 15, 29, 31)
        from proration in Gen.Elements(Proration.Days, Proration.Seconds)
        from startHour in Gen.Choose(0, 24 * 400)
        from fee in Gen.Choose(1, 100_000)
        from steps in (
            from hours in Gen.Choose(1, 24 * 20)
            from what in Gen.Choose(0, 6)
            from quantity in Gen.Choose(1, 9)
            select new Step(hours, what, quantity)).ListOf(12)
        select new Life(zone, interval, anchor, anchorDay, proration, startHour, fee, [.. steps]);

    [Fact]
    public void What_is_owed_in_all_does_not_depend_on_when_the_fee_is_billed() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Arb.From(Lives), life => Owed(life, FeeTiming.InAdvance).Total == Owed(life, FeeTiming.InArrears).Total));

    [Fact]
    public void Where_nothing_changes_the_slices_of_each_period_sum_to_its_whole_fee() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Arb.From(Lives), life =>
        {
            // Only closes, and the first period counts from its start: whole periods are those that begin within the life.
            var closes = life with { Steps = [.. life.Steps.Select(step => step with { What = 6 })] };
            return Owed(closes, FeeTiming.InArrears).ByPeriod.Values.Skip(1).SkipLast(1).All(cents => cents == life.FeeCents);
        }));

    [Fact]
    public void By_days_each_day_owes_the_quantity_and_the_plan_that_it_ends_with() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Arb.From(Lives), life =>
        {
            var owed = Owed(life with { Proration = Proration.Days }, FeeTiming.InArrears);
            // Each cut rounds one number that the exact sum does not; a cent for each is more than they can differ.
            return Math.Abs(owed.Total - owed.Exact) <= owed.Cuts;
        }));

    private sealed record Account(long Total, decimal Exact, int Cuts, Dictionary<Instant, long> ByPeriod);

    private static Account Owed(Life life, FeeTiming timing)
    {
        var zone = DateTimeZoneProviders.Tzdb[life.Zone];
        var plans = new[] { life.FeeCents, (life.FeeCents * 3) + 1 }
            .Select(fee => Terms(fee, life.Proration) with { Interval = life.Interval, FeeTiming = timing }).ToList();
        var now = Instant.FromUtc(2023, 12, 1, 0, 0) + Duration.FromHours(life.StartHour);
        var cycle = (life.Anchor == BillingAnchor.Calendar
            ? BillingCycle.OfCalendar(life.Interval, life.AnchorDay, now.InZone(zone).Date)
            : new(life.Interval, now.InZone(zone).Date)) with
        { FeeTiming = timing };
        var start = now;
        var subscription = Fold.After(
            Subscription.Initial,
            [
                Started() with
                {
                    TimeZone = life.Zone, Anchor = life.Anchor, BillingAnchorDay = life.AnchorDay, Cycle = cycle, StartedAt = now,
                    PeriodEnd = timing == FeeTiming.InAdvance ? now : BillingPeriods.Containing(now, cycle, zone).End, PlanVersion = 1,
                },
            ]);
        var (total, cuts, byPeriod) = (0L, 0, new Dictionary<Instant, long>());
        var happened = new List<(Instant At, int Plan, int Quantity, bool Paused)> { (now, 0, 1, false) };
        CloseEnded();

        foreach (var step in life.Steps)
        {
            now += Duration.FromHours(step.Hours);
            CloseEnded();
            var (_, plan, quantity, paused) = happened[^1];
            switch (step.What)
            {
                case 0 or 1:
                    Decided(ChangeQuantity.Decide(new(step.Quantity, ChangeTime.Now, EffectiveAt: null, now), subscription));
                    happened.Add((now, plan, step.Quantity, paused));
                    break;
                case 2:
                    Decided(PauseSubscription.Decide(new(ChangeTime.Now, now), subscription));
                    happened.Add((now, plan, quantity, true));
                    break;
                case 3:
                    Decided(PauseSubscription.DecideResumption(now, subscription));
                    happened.Add((now, plan, quantity, false));
                    break;
                case 4 or 5 when subscription.PeriodStart < now:
                    var other = 1 - plan;
                    Decided(
                    [
                        new PlanChangeScheduled(
                            ThePlan, other + 1, subscription.CycleFrom(now, plans[other]), plans[other].RecurringFee, now, now),
                    ]);
                    happened.Add((now, other, quantity, paused));
                    CloseEnded();
                    break;
                case 6 when subscription.PeriodStart < now:
                    Close(TheRequest);
                    break;
                default:
                    break;
            }
        }

        now += Duration.FromHours(5);
        CloseEnded();
        now += Duration.FromMinutes(1);
        Decided([new CancellationScheduled(now, now)]);
        CloseEnded();

        return new(total, Exact(), cuts, byPeriod);

        void CloseEnded()
        {
            while (subscription.EndedAt is null && subscription.PeriodEnd <= now)
                Close(request: null);
        }

        void Close(Guid? request)
        {
            var decision = ClosePeriod.Decide(new(now, request, TheInvoice, 0, Duration.FromDays(400), now), subscription);
            // The request of a life is always the same; it is told apart from the one before.
            var closed = (PeriodClosed)decision.Events[0] with { RequestId = null };
            var (period, terms) = (new BillingPeriod(closed.Start, closed.End), plans[subscription.PlanVersion - 1]);
            var whole = BillingPeriods.Containing(period.Start, subscription.Cycle, zone);
            var lines = RatePeriod.Rate(
                terms with { Charges = [] }, period, whole, zone, usage: [], subscription.PlanEndsAt(period.End), subscription.FeeOf(period)).ToList();
            if (closed.Prepaid is { } prepaid && prepaid != subscription.Prepaid)
            {
                var after = ClosePeriod.Follow(subscription, period.End, now).Subscription;
                lines.AddRange(RecurringFee.InAdvance(
                    plans[after.PlanVersion - 1], prepaid, BillingPeriods.Containing(period.End, after.Cycle, zone), zone));
            }

            var cents = lines.Sum(line => line.Amount.MinorUnits);
            (total, cuts) = (total + cents, cuts + lines.Count + 1);
            byPeriod[whole.Start] = byPeriod.GetValueOrDefault(whole.Start) + cents;
            subscription = Fold.After(subscription, [closed, .. decision.Events.Skip(1)]);
        }

        void Decided(Decision<SubscriptionEvent> decision)
        {
            decision.Refusal.ShouldBeNull();
            subscription = Fold.After(subscription, decision.Events);
        }

        // Day by day, from the list of what happened alone.
        decimal Exact()
        {
            var sum = 0m;
            var end = subscription.EndedAt!.Value;
            for (var day = start.InZone(zone).Date; day < end.InZone(zone).Date; day = day.PlusDays(1))
            {
                var (_, plan, quantity, paused) = happened.Last(it => it.At.InZone(zone).Date <= day);
                var whole = BillingPeriods.Containing(BillingPeriods.StartOfDay(day, zone), cycle, zone);
                var days = Period.DaysBetween(whole.Start.InZone(zone).Date, whole.End.InZone(zone).Date);
                sum += paused ? 0 : plans[plan].RecurringFee.MinorUnits * (decimal)quantity / days;
            }

            return sum;
        }
    }
}
