using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Entitlements;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
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
        { ["usage:gpu 3600 hard", "usage:gpu 0.5 hard"], "usage:gpu 3600.5 hard" },
        { ["usage:gpu 3600 hard; usage:gpu 3000 soft", "usage:calls 10 hard"], "usage:calls 10 hard; usage:gpu 3600 hard; usage:gpu 3000 soft" },
    };

    [Theory]
    [MemberData(nameof(Subscriptions))]
    public void Features_are_united_and_limits_add_up_over_those_who_state_them(string[] running, string together) =>
        Grants.Together([.. running.Select(Parse)]).ShouldBe(Parse(together));

    // Each byte is a subscription: what it bounds, in which mode, and how far.
    [Fact]
    public void Grants_depend_neither_on_the_order_of_subscriptions_nor_on_which_are_added_up_first() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll<byte[], byte>((stated, cut) =>
        {
            string[] bounded = ["jobs.queued", "gpu.milli", "usage:gpu", "usage:calls"];
            var parts = stated.Select(it => Parse($"{bounded[it % 4]} {it / 8} {(it % 8 < 4 ? "hard" : "soft")}")).ToList();
            var together = Grants.Together(parts);

            Grants.Together([.. parts.AsEnumerable().Reverse()]).ShouldBe(together);
            Grants.Together([Grants.Together([.. parts.Take(cut)]), Grants.Together([.. parts.Skip(cut)])]).ShouldBe(together);
        }));

    [Theory]
    // what the plan states, quantity -> what the subscription has
    [InlineData("jobs.concurrent 4 hard each", 3, "jobs.concurrent 12 hard")]
    [InlineData("jobs.concurrent 4 hard", 3, "jobs.concurrent 4 hard")]
    [InlineData("usage:gpu 0.25 hard each; usage:gpu 1 soft", 5, "usage:gpu 1.25 hard; usage:gpu 1 soft")]
    [InlineData("pool.spot; gpu.milli 1000 soft each", 1, "pool.spot; gpu.milli 1000 soft")]
    [InlineData("jobs.queued 0 hard each", 1000000, "jobs.queued 0 hard")]
    public void A_limit_per_unit_is_so_many_times_as_large_as_the_quantity(string stated, int quantity, string granted) =>
        Parse(stated).Times(quantity).ShouldBe(Parse(granted));

    [Theory]
    // zone, interval, start, end of the trial, now -> start and end of the period that counts; periods begin on the 15th of January
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-15T00:00:00Z", null, "2026-02-20T00:00:00Z", "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-15T00:00:00Z", null, "2026-02-15T00:00:00Z", "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-02-20T10:00:00Z", null, "2026-03-01T00:00:00Z", "2026-02-20T10:00:00Z", "2026-03-15T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-02-20T10:00:00Z", null, "2026-02-20T09:59:59Z", "2026-02-20T10:00:00Z", "2026-03-15T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Week, "2026-01-15T00:00:00Z", null, "2026-01-28T00:00:00Z", "2026-01-22T00:00:00Z", "2026-01-29T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Year, "2026-01-15T00:00:00Z", null, "2026-12-31T00:00:00Z", "2026-01-15T00:00:00Z", "2027-01-15T00:00:00Z")]
    [InlineData("Europe/Berlin", BillingInterval.Month, "2026-01-14T23:00:00Z", null, "2026-04-01T00:00:00Z", "2026-03-14T23:00:00Z", "2026-04-14T22:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-05T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-19T00:00:00Z", "2026-01-05T00:00:00Z", "2026-03-20T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-05T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-20T00:00:00Z", "2026-04-15T00:00:00Z")]
    [InlineData("Etc/UTC", BillingInterval.Month, "2026-01-05T00:00:00Z", "2026-03-20T00:00:00Z", "2026-04-15T00:00:00Z", "2026-04-15T00:00:00Z", "2026-05-15T00:00:00Z")]
    public void Use_counts_within_the_billing_period_by_the_calendar_and_a_trial_is_one(
        string zone, BillingInterval interval, string start, string? trialEnd, string now, string from, string to)
    {
        var cycle = new BillingCycle(interval, new(2026, 1, 15));
        var subscription = new SubscriptionView(
            TheSubscription, ThePlan, PlanVersion: 1, [new(ThePlan, 1, At(start), End: null, cycle, Trial: trialEnd is not null)], NextPlan: null,
            zone, BillingAnchor.Anniversary, BillingAnchorDay: 1, At(start), CurrentPeriod: null, Quantity: 1, Paused: false,
            FeeSchedule.From(At(start), quantity: 1), Prepaid: null, trialEnd is null ? null : At(trialEnd), LastInvoiceId: null, EndsAt: null,
            EndedAt: null);

        CurrentEntitlements.PeriodAt(subscription, At(now)).ShouldBe(new BillingPeriod(At(from), At(to)));
    }

    [Theory]
    // used, max -> reached, remaining
    [InlineData("0", "10", false, "10")]
    [InlineData("9.999999999999", "10", false, "0.000000000001")]
    [InlineData("10", "10", true, "0")]
    [InlineData("12.5", "10", true, "0")]
    [InlineData("-3", "10", false, "13")]
    [InlineData("0", "0", true, "0")]
    public void A_limit_is_reached_where_nothing_remains(string used, string max, bool reached, string remaining)
    {
        var usage = new LimitedUsage(
            new("usage", Number(max), LimitMode.Hard, "gpu"), new BillingPeriod(FirstOfJanuary, FirstOfFebruary), Number(used));

        usage.IsReached.ShouldBe(reached);
        usage.Remaining.ShouldBe(Number(remaining));
    }

    [Fact]
    public void A_limit_that_is_reached_and_one_that_no_longer_is_are_told() =>
        EntitlementSpec.Given(Changed(version: 1, "usage:gpu 10 hard"), Changed(version: 2, "usage:gpu 10 hard reached"))
            .When(known => RecordEntitlements.Decide(new(TheTenant, Parse("usage:gpu 10 hard"), Noon), known))
            .Then(Changed(version: 3, "usage:gpu 10 hard"));

    [Fact]
    public void What_changes_is_told_under_the_next_version() =>
        EntitlementSpec.Given(Changed(version: 1, "jobs.queued 5 hard"))
            .When(known => RecordEntitlements.Decide(new(TheTenant, Parse("jobs.queued 6 hard"), Noon), known))
            .Then(Changed(version: 2, "jobs.queued 6 hard"));

    [Fact]
    public void The_same_grants_by_other_subscriptions_change_nothing() =>
        EntitlementSpec.Given(Changed(version: 1, "jobs.queued 5 hard"))
            .When(known => RecordEntitlements.Decide(
                new(TheTenant, Grants.Together([Parse("jobs.queued 3 hard"), Parse("jobs.queued 2 hard")]), Noon), known))
            .ThenNothing();

    [Fact]
    public void Of_a_tenant_whose_plans_state_nothing_nothing_is_told() =>
        EntitlementSpec.Given().When(known => RecordEntitlements.Decide(new(TheTenant, Grants.None, Noon), known)).ThenNothing();

    [Fact]
    public void The_last_subscriptions_end_takes_everything_back() =>
        EntitlementSpec.Given(Changed(version: 1, "pool.spot"))
            .When(known => RecordEntitlements.Decide(new(TheTenant, Grants.None, Noon), known))
            .Then(Changed(version: 2, ""));

    private static EntitlementsChanged Changed(long version, string grants) => new(TheTenant, version, Parse(grants), Noon);

    // Features are one word; limits are what is bounded (a meter after a colon), the most, the mode, and "each" or "reached".
    private static Grants Parse(string text)
    {
        var parts = text.Split("; ", StringSplitOptions.RemoveEmptyEntries).Select(part => part.Split(' ')).ToList();
        return Grants.Of(
            parts.Where(part => part.Length == 1).Select(feature => feature[0]),
            parts.Where(part => part.Length > 1).Select(limit => new GrantedLimit(
                limit[0].Split(':')[0], Number(limit[1]), Enum.Parse<LimitMode>(limit[2], ignoreCase: true),
                limit[0].Split(':').ElementAtOrDefault(1), PerUnit: limit.Contains("each"), Reached: limit.Contains("reached"))));
    }

    private static decimal Number(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;
}
