using NodaTime;
using Platform.Billing.Tenants;
using Platform.Billing.TestClocks;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.TestClocks;

using TenantSpec = Spec<Tenant, TenantEvent>;

public class AdvanceClockSpecs
{
    private static TenantEvent[] Sandbox => [TenantRegistered() with { Clock = FirstOfJanuary }, new TenantClockAdvanced(FirstOfFebruary)];

    [Fact]
    public void A_sandboxs_time_passes() => TenantSpec.Given(Sandbox).When(To(FirstOfMarch)).Then(new TenantClockAdvanced(FirstOfMarch));

    [Fact]
    public void No_time_passes_where_it_is_that_late_already() => TenantSpec.Given(Sandbox).When(To(FirstOfFebruary)).ThenNothing();

    [Fact]
    public void A_live_tenants_time_is_the_real_one() =>
        TenantSpec.Given(TenantRegistered()).When(To(FirstOfMarch)).ThenRefused("test_clock.live_tenant");

    [Fact]
    public void Nobodys_time_is_no_time() => TenantSpec.Given().When(To(FirstOfMarch)).ThenRefused("test_clock.not_found");

    [Theory]
    [InlineData("2026-01-31T23:59:59Z", "test_clock.backwards")]
    [InlineData("2031-02-01T00:00:00Z", null)]
    [InlineData("2031-02-01T00:00:01Z", "test_clock.too_far")]
    public void Time_never_goes_back_and_at_most_five_years_on(string to, string? code)
    {
        var decision = AdvanceClock.Decide(
            NodaTime.Text.InstantPattern.ExtendedIso.Parse(to).Value, EventStore.Fold.After(Tenant.Initial, Sandbox));

        decision.Refusal?.Code.ShouldBe(code);
        decision.Refusal?.Field.ShouldBe("to");
        decision.Events.Count.ShouldBe(code is null ? 1 : 0);
    }

    private static Func<Tenant, EventStore.Decision<TenantEvent>> To(Instant to) => tenant => AdvanceClock.Decide(to, tenant);
}
