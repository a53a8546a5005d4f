using System.Globalization;
using Platform.Billing.Entitlements;
using Platform.Contracts.Messages;
using Platform.Testing;
using static Platform.Billing.Tests.History;
using EntitlementsChanged = Platform.Billing.Entitlements.EntitlementsChanged;

namespace Platform.Billing.Tests.Entitlements;

using EntitlementSpec = Spec<TenantEntitlements, EntitlementsEvent>;

public class EntitlementSpecs
{
    /// <summary>One line per case: what each running subscription grants, and what the tenant has of it.</summary>
    public static TheoryData<string[], string> Subscriptions => new()
    {
        { [], "" },
        { ["pool.spot; jobs.concurrent 8 hard"], "pool.spot; jobs.concurrent 8 hard" },
        { ["pool.spot; gpu.cpu", "pool.reserved; pool.spot"], "gpu.cpu; pool.reserved; pool.spot" },
        { ["jobs.concurrent 8 hard", "jobs.concurrent 4 hard"], "jobs.concurrent 12 hard" },
        { ["jobs.concurrent 8 hard", "pool.spot"], "pool.spot; jobs.concurrent 8 hard" },
        { ["jobs.queued 9 hard; jobs.queued 5 soft", "jobs.queued 1 soft"], "jobs.queued 9 hard; jobs.queued 6 soft" },
        { ["gpu.milli 1000 soft", "jobs.queued 5 hard"], "gpu.milli 1000 soft; jobs.queued 5 hard" },
    };

    [Theory]
    [MemberData(nameof(Subscriptions))]
    public void Features_are_united_and_limits_add_up_over_those_who_state_them(string[] running, string together) =>
        Grants.Together([.. running.Select(Parse)]).ShouldBe(Parse(together));

    [Fact]
    public void What_changes_is_told_under_the_next_version() =>
        EntitlementSpec.Given(Changed(version: 1, "jobs.queued 5 hard"))
            .When(known => RecordEntitlements.Decide(new(TheTenant, [Parse("jobs.queued 6 hard")], Noon), known))
            .Then(Changed(version: 2, "jobs.queued 6 hard"));

    [Fact]
    public void The_same_grants_by_other_subscriptions_change_nothing() =>
        EntitlementSpec.Given(Changed(version: 1, "jobs.queued 5 hard"))
            .When(known => RecordEntitlements.Decide(
                new(TheTenant, [Parse("jobs.queued 3 hard"), Parse("jobs.queued 2 hard")], Noon), known))
            .ThenNothing();

    [Fact]
    public void Of_a_tenant_whose_plans_state_nothing_nothing_is_told() =>
        EntitlementSpec.Given().When(known => RecordEntitlements.Decide(new(TheTenant, [], Noon), known)).ThenNothing();

    [Fact]
    public void The_last_subscriptions_end_takes_everything_back() =>
        EntitlementSpec.Given(Changed(version: 1, "pool.spot"))
            .When(known => RecordEntitlements.Decide(new(TheTenant, [], Noon), known))
            .Then(Changed(version: 2, ""));

    private static EntitlementsChanged Changed(long version, string grants) => new(TheTenant, version, Parse(grants), Noon);

    private static Grants Parse(string text)
    {
        var parts = text.Split("; ", StringSplitOptions.RemoveEmptyEntries).Select(part => part.Split(' ')).ToLookup(part => part.Length);
        return Grants.Of(
            parts[1].Select(feature => feature[0]),
            parts[3].Select(limit => new EntitledLimit(
                limit[0], decimal.Parse(limit[1], CultureInfo.InvariantCulture), Enum.Parse<LimitMode>(limit[2], ignoreCase: true))));
    }
}
