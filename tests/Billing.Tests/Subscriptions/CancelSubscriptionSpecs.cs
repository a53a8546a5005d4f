using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using SubscriptionSpec = Spec<Subscription, SubscriptionEvent>;

public class CancelSubscriptionSpecs
{
    [Fact]
    public void At_the_periods_end_it_ends_with_the_running_period() =>
        SubscriptionSpec.Given(Started())
            .When(Cancel(ChangeTime.PeriodEnd))
            .Then(CancelledAt(FirstOfFebruary));

    [Fact]
    public void Now_the_running_period_ends_now() =>
        SubscriptionSpec.Given(Started())
            .When(Cancel(ChangeTime.Now))
            .Then(CancelledAt(Noon));

    [Fact]
    public void One_that_ends_with_its_period_can_still_be_ended_now() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Cancel(ChangeTime.Now))
            .Then(CancelledAt(Noon));

    [Fact]
    public void Cancelling_twice_changes_nothing() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Cancel(ChangeTime.PeriodEnd))
            .ThenNothing();

    [Theory]
    [InlineData(ChangeTime.Now)]
    [InlineData(ChangeTime.PeriodEnd)]
    public void What_has_ended_does_not_end_again(ChangeTime when) =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary), JanuaryClosed(), Ended())
            .When(Cancel(when, FirstOfMarch))
            .ThenNothing();

    public static TheoryData<string, Instant> NotRunning => new()
    {
        { "subscription.period_empty", FirstOfJanuary },
        { "subscription.period_ended", FirstOfFebruary },
    };

    [Theory]
    [MemberData(nameof(NotRunning))]
    public void A_period_that_does_not_run_cannot_be_the_last(string code, Instant now) =>
        SubscriptionSpec.Given(Started()).When(Cancel(ChangeTime.Now, now)).ThenRefused(code);

    [Fact]
    public void What_does_not_exist_cannot_be_cancelled() =>
        SubscriptionSpec.Given().When(Cancel(ChangeTime.Now)).ThenRefused("subscription.not_found");

    [Fact]
    public void A_cancellation_is_withdrawn_before_it_takes_effect() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Withdraw(FirstOfFebruary - Duration.Epsilon))
            .Then(new CancellationWithdrawn(FirstOfFebruary - Duration.Epsilon));

    [Fact]
    public void A_cancellation_that_took_effect_stays() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Withdraw(FirstOfFebruary))
            .ThenRefused("subscription.ended");

    [Fact]
    public void Withdrawing_twice_changes_nothing() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary), new CancellationWithdrawn(Noon))
            .When(Withdraw(Noon))
            .ThenNothing();

    [Fact]
    public void The_close_of_the_last_period_ends_the_subscription() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Close(FirstOfFebruary))
            .Then(JanuaryClosed(), Ended());

    [Fact]
    public void A_withdrawn_cancellation_lets_the_next_period_begin() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary), new CancellationWithdrawn(Noon))
            .When(Close(FirstOfFebruary))
            .Then(JanuaryClosed());

    [Fact]
    public void A_slice_before_the_last_one_does_not_end_it() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary))
            .When(Close(Noon, TheRequest))
            .Then(new PeriodClosed(
                Number: 1, FirstOfJanuary, Noon, FirstOfFebruary, TheInvoice, UsageThrough: 17, TheRequest, At: Noon));

    [Fact]
    public void The_books_of_an_ended_subscription_are_looked_through_again_until_usage_of_it_is_too_old_to_be_reported()
    {
        AtTheEndOf(FirstOfMarch).Then(new NothingLate(Instant.FromUtc(2026, 4, 1, 0, 0), UsageThrough: 17, FirstOfMarch));
        // An outage of months is one look.
        var late = Instant.FromUtc(2026, 7, 15, 0, 0);
        AtTheEndOf(late).Then(new NothingLate(Instant.FromUtc(2026, 8, 1, 0, 0), UsageThrough: 17, late));
        AtTheEndOf(FirstOfFebruary + AgeMax).Then(new NothingLate(NextEnd: null, UsageThrough: 17, FirstOfFebruary + AgeMax));

        static SubscriptionSpec AtTheEndOf(Instant asOf) =>
            SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary), JanuaryClosed(), Ended())
                .When(subscription => ClosePeriod.NothingLate(At(asOf), subscription));
    }

    [Fact]
    public void Where_nothing_was_late_for_good_no_period_is_due() =>
        SubscriptionSpec.Given(
                Started(), CancelledAt(FirstOfFebruary), JanuaryClosed(), Ended(), new NothingLate(NextEnd: null, 17, FirstOfMarch))
            .When(Close(FirstOfMarch + Duration.FromDays(4000)))
            .ThenNothing();

    [Fact]
    public void A_request_to_close_an_ended_subscription_without_late_usage_is_refused() =>
        SubscriptionSpec.Given(Started(), CancelledAt(FirstOfFebruary), JanuaryClosed(), Ended())
            .When(subscription => ClosePeriod.NothingLate(At(FirstOfMarch, TheRequest), subscription))
            .ThenRefused("subscription.ended");

    private static readonly Duration AgeMax = Duration.FromDays(400);

    private static Func<Subscription, EventStore.Decision<SubscriptionEvent>> Cancel(ChangeTime when, Instant? now = null) =>
        subscription => CancelSubscription.Decide(new(when, now ?? Noon), subscription);

    private static Func<Subscription, EventStore.Decision<SubscriptionEvent>> Withdraw(Instant now) =>
        subscription => CancelSubscription.DecideWithdrawal(now, subscription);

    private static Func<Subscription, EventStore.Decision<SubscriptionEvent>> Close(Instant asOf, Guid? request = null) =>
        subscription => ClosePeriod.Decide(At(asOf, request), subscription);

    private static ClosePeriod.Command At(Instant asOf, Guid? request = null) =>
        new(asOf, request, TheInvoice, UsageThrough: 17, AgeMax, At: asOf);
}
