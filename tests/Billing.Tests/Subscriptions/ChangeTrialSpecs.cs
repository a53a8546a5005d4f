using NodaTime;
using NodaTime.Text;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using Subscription = Platform.Billing.Subscriptions.Subscription;
using SubscriptionSpec = Spec<Platform.Billing.Subscriptions.Subscription, SubscriptionEvent>;

/// <summary>A trial from the first of January that is to end with the month.</summary>
public class ChangeTrialSpecs
{
    private static readonly SubscriptionStarted OnTrial = Started() with { TrialEnd = FirstOfFebruary };

    private static readonly SubscriptionStarted ByAnniversary = OnTrial with
    {
        Anchor = BillingAnchor.Anniversary,
        Cycle = new(BillingInterval.Month, new(2026, 2, 1)),
    };

    private static readonly PlanChangeScheduled ToYears =
        new(ThePlan, PlanVersion: 2, new(BillingInterval.Year, new(2026, 2, 1)), TheFee, FirstOfFebruary, At("2026-01-05T00:00:00Z"));

    [Theory]
    // end that is asked for; none is now, the tenth -> where the trial ends, where the first paid period by the anniversary is anchored
    [InlineData(null, "2026-01-10T12:00:00Z", 2026, 1, 10)]
    [InlineData("2026-01-10T12:00:00Z", "2026-01-10T12:00:00Z", 2026, 1, 10)]
    [InlineData("2026-01-20T00:00:00Z", "2026-01-20T00:00:00Z", 2026, 1, 20)]
    [InlineData("2026-03-15T23:59:59Z", "2026-03-15T23:59:59Z", 2026, 3, 15)]
    [InlineData("2028-01-03T00:00:00Z", "2028-01-03T00:00:00Z", 2028, 1, 3)]
    public void A_trial_ends_where_it_is_asked_to(string? asked, string end, int year, int month, int day)
    {
        SubscriptionSpec.Given(OnTrial).When(To(asked)).Then(new TrialEndChanged(At(end), Monthly, Tenth));
        SubscriptionSpec.Given(ByAnniversary).When(To(asked))
            .Then(new TrialEndChanged(At(end), new(BillingInterval.Month, new(year, month, day)), Tenth));
    }

    [Fact]
    public void The_same_end_again_changes_nothing() =>
        SubscriptionSpec.Given(OnTrial).When(To("2026-02-01T00:00:00Z")).ThenNothing();

    [Theory]
    [InlineData("2026-01-20T00:00:00Z", 2026, 1, 20)]
    [InlineData("2026-02-15T00:00:00Z", 2026, 2, 15)]
    public void A_plan_that_was_to_begin_with_the_first_paid_period_still_does(string end, int year, int month, int day)
    {
        var cycle = new BillingCycle(BillingInterval.Month, new(year, month, day));
        SubscriptionSpec.Given(ByAnniversary, ToYears).When(To(end, nextPlan: Terms() with { Interval = BillingInterval.Year })).Then(
            new TrialEndChanged(At(end), cycle, Tenth),
            ToYears with { Cycle = cycle with { Interval = BillingInterval.Year }, EffectiveAt = At(end), At = Tenth });
    }

    [Fact]
    public void The_first_paid_period_begins_where_the_trial_ended()
    {
        SubscriptionEvent[] ended = [OnTrial, new TrialEndChanged(Tenth, Monthly, Tenth)];
        var subscription = Fold.After(Subscription.Initial, ended);

        var closed = ClosePeriod.Decide(
            new(Tenth, RequestId: null, TheInvoice, UsageThrough: 17, Duration.FromDays(400), Tenth), subscription);

        closed.Events.ShouldBe(
        [
            new PeriodClosed(Number: 1, FirstOfJanuary, Tenth, FirstOfFebruary, TheInvoice, UsageThrough: 17, RequestId: null, Tenth),
            new TrialEnded(Tenth, Tenth),
        ]);
    }

    public static TheoryData<string, string?, string?, SubscriptionEvent[]> Refused => new()
    {
        { "subscription.not_found", null, null, [] },
        { "subscription.not_on_trial", null, null, [Started()] },
        { "subscription.cancelled", null, null, [OnTrial, CancelledAt(FirstOfFebruary)] },
        { "subscription.period_ended", null, null, [OnTrial with { TrialEnd = Tenth, PeriodEnd = Tenth }] },
        { "subscription.period_empty", null, null, [OnTrial with { StartedAt = Tenth }] },
        { "subscription.trial_end_passed", "ends_at", "2026-01-10T11:59:59Z", [OnTrial] },
        { "subscription.trial_too_long", "ends_at", "2028-01-03T00:00:01Z", [OnTrial] },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_makes_no_sense_is_refused(string code, string? field, string? end, SubscriptionEvent[] given)
    {
        var refusal = To(end)(Fold.After(Subscription.Initial, given)).Refusal!;

        refusal.Code.ShouldBe(code);
        refusal.Field.ShouldBe(field);
    }

    [Fact]
    public void A_tenant_ends_its_trial_but_only_an_operator_extends_it()
    {
        SubscriptionSpec.Given(OnTrial).When(To("2026-02-02T00:00:00Z", mayExtend: false)).ThenRefused("subscription.trial_extension.forbidden");
        SubscriptionSpec.Given(OnTrial).When(To(end: null, mayExtend: false)).Then(new TrialEndChanged(Tenth, Monthly, Tenth));
    }

    private static readonly Instant Tenth = Instant.FromUtc(2026, 1, 10, 12, 0);

    private static Func<Subscription, Decision<SubscriptionEvent>> To(string? end, bool mayExtend = true, PlanTerms? nextPlan = null) =>
        subscription => ChangeTrial.Decide(new(end is null ? null : At(end), mayExtend, nextPlan, Tenth), subscription);

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
