using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using Subscription = Platform.Billing.Subscriptions.Subscription;
using SubscriptionSpec = Spec<Platform.Billing.Subscriptions.Subscription, SubscriptionEvent>;

public class ChangeQuantitySpecs
{
    private static readonly Instant Tenth = Instant.FromUtc(2026, 1, 10, 8, 0);

    [Fact]
    public void Now_it_counts_from_now() =>
        SubscriptionSpec.Given(Started()).When(Quantity(5)).Then(new QuantityChanged(5, Noon, Noon));

    [Fact]
    public void At_the_periods_end_it_counts_from_the_next_period_on() =>
        SubscriptionSpec.Given(Started()).When(Quantity(5, ChangeTime.PeriodEnd)).Then(new QuantityChanged(5, FirstOfFebruary, Noon));

    [Fact]
    public void It_counts_from_any_instant_of_the_running_period()
    {
        From(FirstOfJanuary).Then(new QuantityChanged(5, FirstOfJanuary, Noon));
        From(Tenth).Then(new QuantityChanged(5, Tenth, Noon));
        From(FirstOfFebruary).Then(new QuantityChanged(5, FirstOfFebruary, Noon));
        From(FirstOfJanuary - Duration.Epsilon).ThenRefused("subscription.not_in_period");
        From(FirstOfFebruary + Duration.Epsilon).ThenRefused("subscription.not_in_period");

        static SubscriptionSpec From(Instant effective) => SubscriptionSpec.Given(Started())
            .When(subscription => ChangeQuantity.Decide(new(5, When: null, effective, Noon), subscription));
    }

    [Fact]
    public void What_is_so_already_changes_nothing()
    {
        SubscriptionSpec.Given(Started()).When(Quantity(1)).ThenNothing();
        SubscriptionSpec.Given(Started(), new QuantityChanged(5, Tenth, Tenth)).When(Quantity(5)).ThenNothing();
        SubscriptionSpec.Given(Started(), new QuantityChanged(5, FirstOfFebruary, Tenth)).When(Quantity(5, ChangeTime.PeriodEnd)).ThenNothing();
    }

    [Fact]
    public void A_change_to_come_is_taken_back_by_a_newer_one() =>
        SubscriptionSpec.Given(Started(), new QuantityChanged(5, FirstOfFebruary, Tenth))
            .When(Quantity(1))
            .Then(new QuantityChanged(1, Noon, Noon));

    [Fact]
    public void What_is_paused_already_pauses_no_more_and_what_runs_does_not_resume()
    {
        SubscriptionSpec.Given(Started()).When(Pause()).Then(new SubscriptionPaused(Noon, Noon));
        SubscriptionSpec.Given(Started()).When(Pause(ChangeTime.PeriodEnd)).Then(new SubscriptionPaused(FirstOfFebruary, Noon));
        SubscriptionSpec.Given(Started(), new SubscriptionPaused(Tenth, Tenth)).When(Pause()).ThenNothing();
        SubscriptionSpec.Given(Started(), new SubscriptionPaused(Tenth, Tenth)).When(Resume()).Then(new SubscriptionResumed(Noon, Noon));
        SubscriptionSpec.Given(Started(), new SubscriptionPaused(FirstOfFebruary, Tenth)).When(Resume())
            .Then(new SubscriptionResumed(Noon, Noon));
        SubscriptionSpec.Given(Started()).When(Resume()).ThenNothing();
    }

    public static TheoryData<string, SubscriptionEvent[], ChangeTime, Instant> Refused => new()
    {
        { "subscription.not_found", [], ChangeTime.Now, Noon },
        { "subscription.ended", [Started(), CancelledAt(FirstOfFebruary), JanuaryClosed(), Ended()], ChangeTime.Now, FirstOfFebruary },
        { "subscription.cancelled", [Started(), CancelledAt(FirstOfFebruary)], ChangeTime.PeriodEnd, Noon },
        { "subscription.period_ended", [Started()], ChangeTime.Now, FirstOfFebruary },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_has_no_period_to_come_changes_no_more(string code, SubscriptionEvent[] given, ChangeTime when, Instant now)
    {
        SubscriptionSpec.Given(given).When(Quantity(5, when, now)).ThenRefused(code);
        SubscriptionSpec.Given(given).When(Pause(when, now)).ThenRefused(code);
    }

    [Fact]
    public void Each_close_bills_the_next_period_in_advance_with_its_quantity()
    {
        var started = Started() with { Cycle = Monthly with { FeeTiming = FeeTiming.InAdvance }, PeriodEnd = FirstOfJanuary };
        var closed = Closes([started], FirstOfJanuary);
        (closed.Number, closed.Prepaid).ShouldBe((0, new(1, new(FirstOfJanuary, FirstOfFebruary))));

        SubscriptionEvent[] history = [started, closed, new QuantityChanged(5, Tenth, Tenth)];
        Closes(history, FirstOfFebruary).Prepaid.ShouldBe(new(5, new(FirstOfFebruary, FirstOfMarch)));
        Closes([.. history, new QuantityChanged(7, FirstOfFebruary, Noon)], FirstOfFebruary).Prepaid!.Quantity.ShouldBe(7);
        Closes([.. history, new SubscriptionPaused(FirstOfFebruary, Noon)], FirstOfFebruary).Prepaid.ShouldBeNull();
        Closes([.. history, CancelledAt(FirstOfFebruary)], FirstOfFebruary).Prepaid.ShouldBeNull();
        Closes([.. history, CancelledAt(Noon)], Noon).Prepaid.ShouldBeNull();
        // What somebody closes early was paid for to its end.
        Closes(history, Noon, TheRequest).Prepaid.ShouldBe(closed.Prepaid);
        Closes([.. history, new PlanChangeScheduled(ThePlan, 2, started.Cycle, TheFee, Noon, Noon)], Noon).Prepaid
            .ShouldBe(new(5, new(Noon, FirstOfFebruary)));
        Closes([.. history, new PlanChangeScheduled(ThePlan, 2, Monthly, TheFee, Noon, Noon)], Noon).Prepaid.ShouldBeNull();
    }

    [Fact]
    public void The_close_of_a_trial_begins_the_first_paid_period()
    {
        var trial = Started() with { TrialEnd = Tenth, PeriodEnd = Tenth };
        SubscriptionSpec.Given(trial).When(Close(Tenth)).Then(
            new PeriodClosed(Number: 1, FirstOfJanuary, Tenth, FirstOfFebruary, TheInvoice, UsageThrough: 17, RequestId: null, Tenth),
            new TrialEnded(Tenth, Tenth));
        // Within it nothing ends it: neither a close nor another plan.
        Closes([trial], FirstOfJanuary + Duration.FromDays(2), TheRequest).NextEnd.ShouldBe(Tenth);
        var change = new PlanChangeScheduled(ThePlan, 2, Monthly, TheFee, FirstOfJanuary + Duration.FromDays(2), FirstOfJanuary);
        Closes([trial, change], change.EffectiveAt).NextEnd.ShouldBe(Tenth);
        SubscriptionEvent[] changed =
            [trial, change, Closes([trial, change], change.EffectiveAt), new PlanChanged(ThePlan, 2, Monthly, TheFee, change.EffectiveAt, Noon)];
        Fold.After(Subscription.Initial, changed).InTrial.ShouldBeTrue();
    }

    private static PeriodClosed Closes(SubscriptionEvent[] history, Instant end, Guid? request = null) =>
        (PeriodClosed)Close(end, request)(Fold.After(Subscription.Initial, history)).Events[0];

    private static Func<Subscription, Decision<SubscriptionEvent>> Close(Instant asOf, Guid? request = null) =>
        subscription => ClosePeriod.Decide(
            new(asOf, request, TheInvoice, UsageThrough: 17, UsageAgeMax: Duration.FromDays(400), At: asOf), subscription);

    private static Func<Subscription, Decision<SubscriptionEvent>> Quantity(
        int quantity, ChangeTime when = ChangeTime.Now, Instant? now = null) =>
        subscription => ChangeQuantity.Decide(new(quantity, when, EffectiveAt: null, now ?? Noon), subscription);

    private static Func<Subscription, Decision<SubscriptionEvent>> Pause(ChangeTime when = ChangeTime.Now, Instant? now = null) =>
        subscription => PauseSubscription.Decide(new(when, now ?? Noon), subscription);

    private static Func<Subscription, Decision<SubscriptionEvent>> Resume() =>
        subscription => PauseSubscription.DecideResumption(Noon, subscription);
}
