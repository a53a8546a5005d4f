using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using SubscriptionSpec = Spec<Subscription, SubscriptionEvent>;

public class ClosePeriodSpecs
{
    [Fact]
    public void A_period_whose_end_has_come_is_closed_and_the_next_runs_to_the_next_anchor_day() =>
        SubscriptionSpec.Given(Started())
            .When(Close(asOf: FirstOfFebruary))
            .Then(JanuaryClosed());

    [Fact]
    public void A_period_that_still_runs_stays_open() =>
        SubscriptionSpec.Given(Started())
            .When(Close(asOf: FirstOfFebruary - Duration.Epsilon))
            .ThenNothing();

    [Fact]
    public void A_closed_period_is_not_closed_again() =>
        SubscriptionSpec.Given(Started(), JanuaryClosed())
            .When(Close(asOf: FirstOfFebruary))
            .ThenNothing();

    [Fact]
    public void A_long_outage_closes_one_period_at_a_time() =>
        SubscriptionSpec.Given(Started())
            .When(Close(asOf: FirstOfMarch + Duration.FromDays(100)))
            .Then(JanuaryClosed() with { At = FirstOfMarch + Duration.FromDays(100) });

    [Fact]
    public void On_request_the_period_ends_now_and_the_next_runs_to_the_anchor_day_all_the_same() =>
        SubscriptionSpec.Given(Started())
            .When(Close(asOf: Noon, TheRequest))
            .Then(new PeriodClosed(
                Number: 1, FirstOfJanuary, Noon, FirstOfFebruary, TheInvoice, UsageThrough: 17, TheRequest, At: Noon));

    [Fact]
    public void A_request_closes_first_what_ended_by_the_calendar() =>
        SubscriptionSpec.Given(Started())
            .When(Close(asOf: FirstOfFebruary + Duration.FromDays(3), TheRequest))
            .Then(JanuaryClosed() with { At = FirstOfFebruary + Duration.FromDays(3) });

    [Fact]
    public void The_same_request_ends_one_period_only() =>
        SubscriptionSpec.Given(Started(), JanuaryClosed(TheRequest) with { End = Noon, NextEnd = FirstOfFebruary })
            .When(Close(asOf: Noon + Duration.FromHours(1), TheRequest))
            .ThenNothing();

    [Fact]
    public void A_period_without_length_cannot_be_closed() =>
        SubscriptionSpec.Given(Started())
            .When(Close(asOf: FirstOfJanuary, TheRequest))
            .ThenRefused("subscription.period_empty");

    [Fact]
    public void A_subscription_that_does_not_exist_has_no_period() =>
        SubscriptionSpec.Given()
            .When(Close(asOf: FirstOfFebruary))
            .ThenRefused("subscription.not_found");

    private static Func<Subscription, EventStore.Decision<SubscriptionEvent>> Close(Instant asOf, Guid? request = null) =>
        subscription => ClosePeriod.Decide(
            new(asOf, request, TheInvoice, UsageThrough: 17, UsageAgeMax: Duration.FromDays(400), At: asOf), subscription);
}
