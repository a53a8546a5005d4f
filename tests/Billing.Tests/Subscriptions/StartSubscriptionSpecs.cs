using NodaTime;
using NodaTime.Text;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Subscriptions;

using SubscriptionSpec = Spec<Subscription, SubscriptionEvent>;

public class StartSubscriptionSpecs
{
    private static readonly StartSubscription.Command Start = new(
        TheSubscription,
        new TenantView(TheTenant, "Acme", Currency.EUR, "Europe/Berlin", BillingAnchorDay: 31, Noon),
        new PlanView(
            ThePlan, "standard", Currency.EUR, LatestVersion: 2, [VersionOf(1), VersionOf(2)]),
        PlanVersion: null, BillingAnchor.Calendar, MetersBilled: [], StartedAt: Noon, At: Noon);

    [Fact]
    public void A_subscription_starts_on_the_newest_version_and_runs_to_the_anchor_day_in_the_tenants_zone() =>
        SubscriptionSpec.Given()
            .When(subscription => StartSubscription.Decide(Start, subscription))
            .Then(new SubscriptionStarted(
                TheSubscription, TheTenant, ThePlan, PlanVersion: 2, "Europe/Berlin", BillingAnchor.Calendar, BillingAnchorDay: 31,
                new(BillingInterval.Month, new(2026, 1, 31)), TheFee, Noon, Instant.FromUtc(2026, 2, 27, 23, 0), Quantity: 1, Noon));

    [Theory]
    // interval, anchor, start -> a date that periods begin on, end of the first period; the anchor day is 31, in Berlin
    [InlineData(BillingInterval.Week, BillingAnchor.Calendar, "2026-01-31T12:00:00Z", "2026-01-26", "2026-02-01T23:00:00Z")]
    [InlineData(BillingInterval.Week, BillingAnchor.Anniversary, "2026-01-31T12:00:00Z", "2026-01-31", "2026-02-06T23:00:00Z")]
    [InlineData(BillingInterval.Month, BillingAnchor.Calendar, "2026-01-30T12:00:00Z", "2026-01-31", "2026-01-30T23:00:00Z")]
    [InlineData(BillingInterval.Month, BillingAnchor.Anniversary, "2026-01-30T12:00:00Z", "2026-01-30", "2026-02-27T23:00:00Z")]
    [InlineData(BillingInterval.Month, BillingAnchor.Anniversary, "2026-01-30T23:00:00Z", "2026-01-31", "2026-02-27T23:00:00Z")]
    [InlineData(BillingInterval.Quarter, BillingAnchor.Calendar, "2026-01-31T12:00:00Z", "2026-01-31", "2026-04-29T22:00:00Z")]
    [InlineData(BillingInterval.Quarter, BillingAnchor.Anniversary, "2026-01-30T12:00:00Z", "2026-01-30", "2026-04-29T22:00:00Z")]
    [InlineData(BillingInterval.Year, BillingAnchor.Calendar, "2026-01-30T12:00:00Z", "2026-01-31", "2026-01-30T23:00:00Z")]
    [InlineData(BillingInterval.Year, BillingAnchor.Anniversary, "2026-01-30T12:00:00Z", "2026-01-30", "2027-01-29T23:00:00Z")]
    public void Periods_are_the_calendars_or_begin_on_the_day_of_the_start(
        BillingInterval interval, BillingAnchor anchor, string start, string anchored, string firstEnd)
    {
        var startedAt = InstantPattern.ExtendedIso.Parse(start).Value;
        var version = VersionOf(1) with { Interval = interval };
        var command = Start with
        {
            Plan = Start.Plan! with { LatestVersion = 1, Versions = [version] },
            Anchor = anchor,
            StartedAt = startedAt,
            At = startedAt,
        };

        var started = StartSubscription.Decide(command, Subscription.Initial).Events.ShouldHaveSingleItem()
            .ShouldBeOfType<SubscriptionStarted>();

        started.Cycle.ShouldBe(new(interval, LocalDatePattern.Iso.Parse(anchored).Value));
        started.PeriodEnd.ShouldBe(InstantPattern.ExtendedIso.Parse(firstEnd).Value);
    }

    [Theory]
    // days of trial of the plan, its end as asked for, anchor -> whether there is one, end of the first period, the anchor of paid ones
    [InlineData(0, null, BillingAnchor.Calendar, false, "2026-02-27T23:00:00Z", "2026-01-31")]
    [InlineData(1, null, BillingAnchor.Calendar, true, "2026-01-31T23:00:00Z", "2026-01-31")]
    [InlineData(14, null, BillingAnchor.Calendar, true, "2026-02-13T23:00:00Z", "2026-01-31")]
    [InlineData(14, null, BillingAnchor.Anniversary, true, "2026-02-13T23:00:00Z", "2026-02-14")]
    [InlineData(60, null, BillingAnchor.Anniversary, true, "2026-03-31T22:00:00Z", "2026-04-01")]
    [InlineData(14, "2026-02-10T15:00:00Z", BillingAnchor.Anniversary, true, "2026-02-10T15:00:00Z", "2026-02-10")]
    [InlineData(0, "2027-02-10T23:30:00Z", BillingAnchor.Anniversary, true, "2027-02-10T23:30:00Z", "2027-02-11")]
    [InlineData(14, "2026-01-31T12:00:00Z", BillingAnchor.Anniversary, false, "2026-02-27T23:00:00Z", "2026-01-31")]
    public void A_trial_is_the_first_period_and_paid_ones_follow_it(
        int days, string? end, BillingAnchor anchor, bool trial, string firstEnd, string anchored)
    {
        var command = Start with
        {
            Plan = Start.Plan! with { Versions = [VersionOf(2) with { TrialDays = days }] },
            Anchor = anchor,
            TrialEnd = end is null ? null : InstantPattern.ExtendedIso.Parse(end).Value,
            MayExtendTrial = true,
        };

        var started = StartSubscription.Decide(command, Subscription.Initial).Events.ShouldHaveSingleItem()
            .ShouldBeOfType<SubscriptionStarted>();

        started.PeriodEnd.ShouldBe(InstantPattern.ExtendedIso.Parse(firstEnd).Value);
        started.Cycle.Anchor.ShouldBe(LocalDatePattern.Iso.Parse(anchored).Value);
        started.TrialEnd.ShouldBe(trial ? started.PeriodEnd : null);
    }

    [Theory]
    // days of trial of the plan, its end as asked for -> whether a tenant may ask for it; the 14 days end with the 13th of February in Berlin
    [InlineData(14, "2026-02-13T23:00:00Z", true)]
    [InlineData(14, "2026-02-10T00:00:00Z", true)]
    [InlineData(14, "2026-02-13T23:00:01Z", false)]
    [InlineData(0, "2026-01-31T12:00:00Z", true)]
    [InlineData(0, "2026-01-31T12:00:01Z", false)]
    public void A_tenant_shortens_its_trial_and_only_an_operator_gives_a_longer_one(int days, string end, bool allowed)
    {
        var command = Start with
        {
            Plan = Start.Plan! with { Versions = [VersionOf(2) with { TrialDays = days }] },
            TrialEnd = InstantPattern.ExtendedIso.Parse(end).Value,
        };

        var refusal = StartSubscription.Decide(command, Subscription.Initial).Refusal;

        (refusal?.Code).ShouldBe(allowed ? null : "subscription.trial_extension.forbidden");
        (refusal?.Field).ShouldBe(allowed ? null : "trial_end");
        StartSubscription.Decide(command with { MayExtendTrial = true }, Subscription.Initial).Refusal.ShouldBeNull();
    }

    [Fact]
    public void A_fee_in_advance_is_owed_at_the_beginning()
    {
        var command = Start with { Plan = Start.Plan! with { Versions = [VersionOf(2) with { FeeTiming = FeeTiming.InAdvance }] } };

        var started = StartSubscription.Decide(command, Subscription.Initial).Events.ShouldHaveSingleItem()
            .ShouldBeOfType<SubscriptionStarted>();

        started.PeriodEnd.ShouldBe(started.StartedAt);
        started.FirstNumber.ShouldBe(0);
    }

    [Fact]
    public void Starting_twice_changes_nothing() =>
        SubscriptionSpec.Given(Started())
            .When(subscription => StartSubscription.Decide(Start, subscription))
            .ThenNothing();

    public static TheoryData<string, StartSubscription.Command> Refused => new()
    {
        { "subscription.plan_unknown", Start with { Plan = null } },
        { "subscription.plan_version_unknown", Start with { PlanVersion = 3 } },
        { "subscription.currency_differs", Start with { Tenant = Start.Tenant with { Currency = Currency.USD } } },
        { "subscription.starts_in_future", Start with { StartedAt = Noon + Duration.Epsilon } },
        { "subscription.starts_too_early", Start with { StartedAt = Noon - Duration.FromDays(367) } },
        { "subscription.trial_too_long", Start with { TrialEnd = Noon + Duration.FromDays(733) } },
        { "subscription.meter_already_billed", Start with { MetersBilled = ["gpu-time"] } },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_makes_no_sense_is_refused(string code, StartSubscription.Command command) =>
        SubscriptionSpec.Given()
            .When(subscription => StartSubscription.Decide(command, subscription))
            .ThenRefused(code);

    private static PlanView.PlanVersion VersionOf(int version)
    {
        var terms = Terms();
        return new(version, terms.DisplayName, terms.RecurringFee, terms.Proration, terms.Charges, Noon);
    }
}
