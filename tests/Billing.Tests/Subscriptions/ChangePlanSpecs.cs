using System.Globalization;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using Subscription = Platform.Billing.Subscriptions.Subscription;
using SubscriptionSpec = Spec<Platform.Billing.Subscriptions.Subscription, SubscriptionEvent>;

public class ChangePlanSpecs
{
    private static readonly PlanId Other = new(Guid.Parse("0198c0de-0000-7000-8000-000000000008"));
    private static readonly ChangePlan.Command ToOther = new(
        Plan(Other), Version: null, ChangeTime.Now, Currency.EUR, MetersBilled: [], Noon);

    [Fact]
    public void Now_the_running_period_ends_now() =>
        SubscriptionSpec.Given(Started())
            .When(Change(ToOther))
            .Then(new PlanChangeScheduled(Other, PlanVersion: 2, Monthly, TheFee, Noon, Noon));

    [Fact]
    public void From_an_instant_that_is_over_the_running_period_ends_then()
    {
        var tenth = Instant.FromUtc(2026, 1, 10, 8, 0);
        SubscriptionSpec.Given(Started())
            .When(Change(ToOther with { When = null, EffectiveAt = tenth }))
            .Then(new PlanChangeScheduled(Other, PlanVersion: 2, Monthly, TheFee, tenth, Noon));
        SubscriptionSpec.Given(Started(), ChangesAt(tenth))
            .When(Close(Noon))
            .Then(
                new PeriodClosed(Number: 1, FirstOfJanuary, tenth, FirstOfFebruary, TheInvoice, UsageThrough: 17, RequestId: null, Noon),
                new PlanChanged(Other, PlanVersion: 2, Monthly, TheFee, tenth, Noon));
    }

    [Fact]
    public void At_the_periods_end_the_running_period_goes_on() =>
        SubscriptionSpec.Given(Started())
            .When(Change(ToOther with { Version = 1, When = ChangeTime.PeriodEnd }))
            .Then(new PlanChangeScheduled(Other, PlanVersion: 1, Monthly, TheFee, FirstOfFebruary, Noon));

    [Fact]
    public void The_close_of_the_last_period_on_a_plan_begins_the_next_one_on_the_other() =>
        SubscriptionSpec.Given(Started(), ChangesAt(FirstOfFebruary))
            .When(Close(FirstOfFebruary))
            .Then(JanuaryClosed(), new PlanChanged(Other, PlanVersion: 2, Monthly, TheFee, FirstOfFebruary, FirstOfFebruary));

    [Fact]
    public void A_slice_before_stays_on_the_plan() =>
        SubscriptionSpec.Given(Started(), ChangesAt(FirstOfFebruary))
            .When(Close(Noon, TheRequest))
            .Then(new PeriodClosed(
                Number: 1, FirstOfJanuary, Noon, FirstOfFebruary, TheInvoice, UsageThrough: 17, TheRequest, At: Noon));

    [Fact]
    public void What_is_cancelled_ends_and_changes_no_more() =>
        SubscriptionSpec.Given(Started(), ChangesAt(FirstOfFebruary), CancelledAt(FirstOfFebruary))
            .When(Close(FirstOfFebruary))
            .Then(JanuaryClosed(), Ended());

    [Fact]
    public void The_newest_request_wins() =>
        SubscriptionSpec.Given(Started(), ChangesAt(FirstOfFebruary))
            .When(Change(ToOther with { Version = 1 }))
            .Then(new PlanChangeScheduled(Other, PlanVersion: 1, Monthly, TheFee, Noon, Noon));

    [Fact]
    public void Asking_twice_changes_nothing() =>
        SubscriptionSpec.Given(Started(), ChangesAt(FirstOfFebruary))
            .When(Change(ToOther with { When = ChangeTime.PeriodEnd }))
            .ThenNothing();

    [Fact]
    public void The_plan_that_runs_changes_nothing() =>
        SubscriptionSpec.Given(Started())
            .When(Change(ToOther with { Plan = Plan(ThePlan), Version = 1 }))
            .ThenNothing();

    [Theory]
    [InlineData(ChangeTime.Now)]
    [InlineData(ChangeTime.PeriodEnd)]
    public void The_plan_that_runs_takes_a_change_back_that_is_to_come(ChangeTime when) =>
        SubscriptionSpec.Given(Started(), ChangesAt(FirstOfFebruary))
            .When(Change(ToOther with { Plan = Plan(ThePlan), Version = 1, When = when }))
            .Then(new PlanChangeWithdrawn(Noon));

    [Fact]
    public void A_newer_version_of_the_plan_is_another_plan() =>
        SubscriptionSpec.Given(Started())
            .When(Change(ToOther with { Plan = Plan(ThePlan) }))
            .Then(new PlanChangeScheduled(ThePlan, PlanVersion: 2, Monthly, TheFee, Noon, Noon));

    public static TheoryData<string, string?, ChangePlan.Command> Refused => new()
    {
        { "subscription.plan_unknown", "plan_id", ToOther with { Plan = null } },
        { "subscription.plan_version_unknown", "version", ToOther with { Version = 3 } },
        { "subscription.currency_differs", "plan_id", ToOther with { Currency = Currency.USD } },
        { "subscription.meter_already_billed", null, ToOther with { MetersBilled = ["gpu-time"] } },
        { "subscription.not_in_period", "effective_at", ToOther with { When = null, EffectiveAt = FirstOfJanuary } },
        { "subscription.not_in_period", "effective_at", ToOther with { When = null, EffectiveAt = Noon + Duration.Epsilon } },
        { "subscription.period_empty", null, ToOther with { Now = FirstOfJanuary } },
        { "subscription.period_ended", null, ToOther with { Now = FirstOfFebruary } },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_makes_no_sense_is_refused(string code, string? field, ChangePlan.Command command)
    {
        SubscriptionSpec.Given(Started()).When(Change(command)).ThenRefused(code);
        ChangePlan.Decide(command, Fold.After(Subscription.Initial, [Started()])).Refusal!.Field.ShouldBe(field);
    }

    [Fact]
    public void What_has_ended_is_on_no_plan() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary), JanuaryClosed(), Ended())
            .When(Change(ToOther with { Now = FirstOfMarch - Duration.Epsilon }))
            .ThenRefused("subscription.ended");

    [Fact]
    public void What_ends_with_the_period_has_no_next_one()
    {
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Change(ToOther with { When = ChangeTime.PeriodEnd }))
            .ThenRefused("subscription.cancelled");
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Change(ToOther))
            .Then(new PlanChangeScheduled(Other, PlanVersion: 2, Monthly, TheFee, Noon, Noon));
    }

    [Theory]
    // anchor, anchor day, cycle before, change at, interval after -> a date that periods begin on, end of the first period
    // by the calendar, the new plan's first period is the rest of the calendar's
    [InlineData(BillingAnchor.Calendar, 1, BillingInterval.Month, "2026-01-01", "2026-03-10T12:00:00Z", BillingInterval.Week, "2026-03-09", "2026-03-16")]
    [InlineData(BillingAnchor.Calendar, 1, BillingInterval.Month, "2026-01-01", "2026-03-10T12:00:00Z", BillingInterval.Quarter, "2026-01-01", "2026-04-01")]
    [InlineData(BillingAnchor.Calendar, 1, BillingInterval.Month, "2026-01-01", "2026-03-10T12:00:00Z", BillingInterval.Year, "2026-01-01", "2027-01-01")]
    [InlineData(BillingAnchor.Calendar, 31, BillingInterval.Month, "2026-01-31", "2026-02-28T00:00:00Z", BillingInterval.Year, "2026-01-31", "2027-01-31")]
    [InlineData(BillingAnchor.Calendar, 31, BillingInterval.Year, "2026-01-31", "2026-02-10T00:00:00Z", BillingInterval.Month, "2026-01-31", "2026-02-28")]
    [InlineData(BillingAnchor.Calendar, 15, BillingInterval.Week, "2026-03-09", "2026-03-10T12:00:00Z", BillingInterval.Month, "2026-01-15", "2026-03-15")]
    [InlineData(BillingAnchor.Calendar, 15, BillingInterval.Month, "2026-01-15", "2026-03-10T12:00:00Z", BillingInterval.Month, "2026-01-15", "2026-03-15")]
    // by the anniversary, it is whole from the day of the change, unless a period begins there anyway
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Month, "2026-01-31", "2026-03-10T12:00:00Z", BillingInterval.Year, "2026-03-10", "2027-03-10")]
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Month, "2026-01-31", "2026-03-10T12:00:00Z", BillingInterval.Month, "2026-01-31", "2026-03-31")]
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Month, "2026-01-31", "2026-02-28T00:00:00Z", BillingInterval.Year, "2026-02-28", "2027-02-28")]
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Quarter, "2026-01-31", "2026-04-30T00:00:00Z", BillingInterval.Month, "2026-01-31", "2026-05-31")]
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Month, "2026-01-31", "2026-04-30T12:00:00Z", BillingInterval.Quarter, "2026-01-31", "2026-07-31")]
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Year, "2024-02-29", "2025-02-28T00:00:00Z", BillingInterval.Month, "2024-02-29", "2025-03-29")]
    [InlineData(BillingAnchor.Anniversary, 1, BillingInterval.Week, "2026-01-01", "2026-03-12T08:00:00Z", BillingInterval.Month, "2026-03-12", "2026-04-12")]
    public void A_plan_with_another_interval_has_periods_of_its_own(
        BillingAnchor anchor, int anchorDay, BillingInterval before, string anchoredBefore, string at, BillingInterval after, string anchored,
        string firstEnd)
    {
        var (change, cycle) = (InstantPattern.ExtendedIso.Parse(at).Value, new BillingCycle(before, Date(anchoredBefore)));
        var subscription = Fold.After(
            Subscription.Initial,
            [Started() with { Anchor = anchor, BillingAnchorDay = anchorDay, Cycle = cycle, StartedAt = change - Duration.FromDays(1), PeriodEnd = change + Duration.FromDays(1) }]);
        var plan = Plan(Other) with { Versions = [Version(2, Terms() with { Interval = after })] };

        var scheduled = ChangePlan.Decide(ToOther with { Plan = plan, Now = change }, subscription).Events;
        scheduled.ShouldBe([new PlanChangeScheduled(Other, PlanVersion: 2, new(after, Date(anchored)), TheFee, change, change)]);
        var closed = Close(change)(Fold.After(subscription, scheduled)).Events;
        ((PeriodClosed)closed[0]).NextEnd.ShouldBe(Date(firstEnd).AtMidnight().InUtc().ToInstant());
        Fold.After(subscription, [.. scheduled, .. closed]).Cycle.ShouldBe(new(after, Date(anchored)));

        static LocalDate Date(string text) => LocalDatePattern.Iso.Parse(text).Value;
    }

    [Fact]
    public void What_is_cancelled_ends_then_also_on_a_plan_with_longer_or_shorter_periods()
    {
        Ends(BillingInterval.Year, FirstOfFebruary);
        Ends(BillingInterval.Week, Instant.FromUtc(2026, 1, 12, 0, 0));

        static void Ends(BillingInterval interval, Instant firstEnd)
        {
            var at = Instant.FromUtc(2026, 1, 10, 0, 0);
            var cycle = BillingCycle.OfCalendar(interval, anchorDay: 1, new(2026, 1, 10));
            SubscriptionSpec.Given(
                    Started(), CancelledAt(FirstOfFebruary), new PlanChangeScheduled(Other, PlanVersion: 2, cycle, TheFee, at, at))
                .When(Close(at))
                .Then(
                    new PeriodClosed(Number: 1, FirstOfJanuary, at, firstEnd, TheInvoice, UsageThrough: 17, RequestId: null, At: at),
                    new PlanChanged(Other, PlanVersion: 2, cycle, TheFee, at, at));
        }
    }

    [Theory]
    // proration, zone, anchor day, instants of changes within one period, fee of each plan in cents -> fee of each slice
    // months of every length, up and down; the day of the change belongs to the new plan
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-01-16T00:00:00Z", "3100 6200", "1500 3200")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-01-16T23:59:59Z", "3100 6200", "1500 3200")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-04-16T12:00:00Z", "10000 5000", "5000 2500")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-02-15T12:00:00Z", "10000 20000", "5000 10000")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2024-02-15T12:00:00Z", "10000 20000", "4828 10345")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2024-02-29T12:00:00Z", "2900 0", "2800 0")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2024-02-29T00:00:00Z", "1 1", "1 0")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-12-31T23:59:59Z", "10000 1", "9677 0")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-01-01T12:00:00Z", "10000 5000", "0 5000")]
    // several changes, also on one day
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-03-10T08:00:00Z 2026-03-10T17:00:00Z", "3100 9300 6200", "900 0 4400")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-03-10T08:00:00Z 2026-03-10T17:00:00Z", "3100 999900 3100", "900 0 2200")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-03-10T08:00:00Z 2026-03-11T08:00:00Z 2026-03-31T23:00:00Z", "10000 20000 100 77777", "2903 646 65 2509")]
    [InlineData(Proration.Days, "Etc/UTC", 1, "2026-03-01T00:00:01Z 2026-03-01T00:00:02Z", "3100 6200 9300", "0 0 9300")]
    // anchor days that a month does not have
    [InlineData(Proration.Days, "Etc/UTC", 31, "2026-02-10T00:00:00Z", "2800 5600", "1000 3600")]
    [InlineData(Proration.Days, "Etc/UTC", 31, "2026-02-28T00:00:01Z", "3100 6200", "0 6200")]
    [InlineData(Proration.Days, "Etc/UTC", 31, "2026-03-15T12:00:00Z", "3100 6200", "1500 3200")]
    [InlineData(Proration.Days, "Etc/UTC", 31, "2024-02-28T12:00:00Z", "2900 1450", "2800 50")]
    [InlineData(Proration.Days, "Etc/UTC", 29, "2026-02-28T12:00:00Z", "10000 20000", "0 20000")]
    [InlineData(Proration.Days, "Etc/UTC", 30, "2026-04-29T12:00:00Z", "10000 20000", "9677 645")]
    // from the first to the last zone of the day
    [InlineData(Proration.Days, "Pacific/Kiritimati", 1, "2026-01-15T09:59:59Z", "3100 6200", "1400 3400")]
    [InlineData(Proration.Days, "Pacific/Kiritimati", 1, "2026-01-15T10:00:00Z", "3100 6200", "1500 3200")]
    [InlineData(Proration.Days, "Pacific/Kiritimati", 31, "2026-02-27T10:00:01Z", "3100 6200", "0 6200")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", 1, "2026-01-15T10:59:59Z", "3100 6200", "1300 3600")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", 1, "2026-01-15T11:00:00Z", "3100 6200", "1400 3400")]
    [InlineData(Proration.Days, "Pacific/Pago_Pago", 31, "2024-02-29T11:00:01Z", "3100 6200", "0 6200")]
    [InlineData(Proration.Days, "Asia/Kolkata", 15, "2026-03-01T18:30:00Z", "2800 5600", "1500 2600")]
    // clocks change: a day is a day, whatever its hours
    [InlineData(Proration.Days, "Europe/Berlin", 1, "2026-03-28T23:00:00Z", "3100 6200", "2800 600")]
    [InlineData(Proration.Days, "Europe/Berlin", 1, "2026-03-29T21:59:59Z", "3100 6200", "2800 600")]
    [InlineData(Proration.Days, "Europe/Berlin", 1, "2026-03-29T22:00:00Z", "3100 6200", "2900 400")]
    [InlineData(Proration.Days, "Europe/Berlin", 1, "2026-10-24T22:00:00Z", "3100 6200", "2400 1400")]
    [InlineData(Proration.Days, "Europe/Berlin", 1, "2026-10-25T22:59:59Z", "3100 6200", "2400 1400")]
    [InlineData(Proration.Days, "Europe/Berlin", 1, "2026-10-25T23:00:00Z", "3100 6200", "2500 1200")]
    [InlineData(Proration.Days, "America/New_York", 8, "2026-03-08T07:00:00Z", "10000 20000", "0 20000")]
    [InlineData(Proration.Days, "America/New_York", 1, "2026-11-01T06:00:00Z", "3000 6000", "0 6000")]
    [InlineData(Proration.Days, "Australia/Lord_Howe", 5, "2026-04-04T15:00:00Z", "3100 6200", "0 6200")]
    // seconds of the actual period, which DST makes shorter and longer
    [InlineData(Proration.Seconds, "Etc/UTC", 1, "2026-01-16T12:00:00Z", "10000 20000", "5000 10000")]
    [InlineData(Proration.Seconds, "Europe/Berlin", 1, "2026-03-15T23:00:00Z", "743 1486", "360 766")]
    [InlineData(Proration.Seconds, "Europe/Berlin", 1, "2026-03-29T01:00:00Z", "74300 148600", "67400 13800")]
    [InlineData(Proration.Seconds, "Europe/Berlin", 1, "2026-10-25T01:00:00Z", "74500 149000", "57900 33200")]
    [InlineData(Proration.Seconds, "Pacific/Kiritimati", 1, "2026-02-01T10:00:00Z", "2800 5600", "100 5400")]
    [InlineData(Proration.Seconds, "Pacific/Pago_Pago", 31, "2026-03-01T00:00:00Z", "3100 6200", "54 6092")]
    [InlineData(Proration.Seconds, "Etc/UTC", 1, "2024-02-15T12:00:00Z 2024-02-15T12:00:01Z", "2900 1000000 2900", "1450 0 1450")]
    // no proration: each plan owes its fee
    [InlineData(Proration.None, "Etc/UTC", 1, "2026-01-16T00:00:00Z", "3100 6200", "3100 6200")]
    [InlineData(Proration.None, "Europe/Berlin", 31, "2026-02-28T00:00:00Z 2026-02-28T00:00:01Z", "3100 6200 100", "3100 6200 100")]
    public void Each_plan_owes_its_part_of_the_period(
        Proration proration, string zoneId, int anchorDay, string changes, string fees, string slices)
    {
        var zone = DateTimeZoneProviders.Tzdb[zoneId];
        var instants = changes.Split(' ').Select(at => InstantPattern.ExtendedIso.Parse(at).Value).ToList();
        var cycle = BillingCycle.OfCalendar(BillingInterval.Month, anchorDay, instants[0].InZone(zone).Date);
        var whole = BillingPeriods.Containing(instants[0], cycle, zone);
        var plans = fees.Split(' ').Select(cents => Terms(long.Parse(cents, CultureInfo.InvariantCulture), proration)).ToList();
        var subscription = Fold.After(
            Subscription.Initial,
            [Started() with { TimeZone = zoneId, BillingAnchorDay = anchorDay, Cycle = cycle, StartedAt = whole.Start, PeriodEnd = whole.End }]);
        var owed = new List<long>();

        foreach (var (end, terms) in instants.Append(whole.End).Zip(plans))
        {
            if (end != whole.End)
                Evolve(ChangePlan.Decide(ToOther with { Plan = Plan(new(Guid.CreateVersion7())), Now = end }, subscription));
            var closed = (PeriodClosed)Evolve(Close(end)(subscription))[0];
            owed.Add(RatePeriod.Rate(terms, new(closed.Start, closed.End), whole, zone, usage: []).Sum(line => line.Amount.MinorUnits));
        }

        string.Join(' ', owed).ShouldBe(slices);
        subscription.Plans.Count.ShouldBe(plans.Count);
        subscription.PeriodStart.ShouldBe(whole.End);

        IReadOnlyList<SubscriptionEvent> Evolve(Decision<SubscriptionEvent> decision)
        {
            decision.Refusal.ShouldBeNull();
            subscription = Fold.After(subscription, decision.Events);
            return decision.Events;
        }
    }

    private static PlanChangeScheduled ChangesAt(Instant effective) => new(Other, PlanVersion: 2, Monthly, TheFee, effective, Noon);

    private static PlanView Plan(PlanId id) =>
        new(id, "other", Currency.EUR, LatestVersion: 2, [Version(1, Terms()), Version(2, Terms())]);

    private static PlanView.PlanVersion Version(int version, PlanTerms terms) =>
        new(version, terms.DisplayName, terms.RecurringFee, terms.Proration, terms.Charges, Noon) { Interval = terms.Interval };

    private static Func<Subscription, Decision<SubscriptionEvent>> Change(ChangePlan.Command command) =>
        subscription => ChangePlan.Decide(command, subscription);

    private static Func<Subscription, Decision<SubscriptionEvent>> Close(Instant asOf, Guid? request = null) =>
        subscription => ClosePeriod.Decide(
            new(asOf, request, TheInvoice, UsageThrough: 17, UsageAgeMax: Duration.FromDays(400), At: asOf), subscription);
}
