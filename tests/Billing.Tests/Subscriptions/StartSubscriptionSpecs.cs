using NodaTime;
using Platform.Billing.Catalog;
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
        PlanVersion: null, MetersBilled: [], StartedAt: Noon, At: Noon);

    [Fact]
    public void A_subscription_starts_on_the_newest_version_and_runs_to_the_anchor_day_in_the_tenants_zone() =>
        SubscriptionSpec.Given()
            .When(subscription => StartSubscription.Decide(Start, subscription))
            .Then(new SubscriptionStarted(
                TheSubscription, TheTenant, ThePlan, PlanVersion: 2, "Europe/Berlin", BillingAnchorDay: 31, Noon,
                Instant.FromUtc(2026, 2, 27, 23, 0), Noon));

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
