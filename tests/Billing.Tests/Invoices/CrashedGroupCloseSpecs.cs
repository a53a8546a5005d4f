using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.Invoices;

/// <summary>
/// Tenants of one lane close in one transaction. Wherever that breaks off, and whether for all or by one tenant's fault, what the next run
/// makes is what an unbroken one would have made: the same invoices, their numbers without a gap, each tenant's once.
/// </summary>
public sealed class CrashedGroupCloseSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly LocalDate first = new(2026, 1, 1);

    // How a run meets a fault.
    private enum Run
    {
        GroupBreaksOff,
        EachAloneAfterTheGroup,
        OneTenantFails,
        TriedAgainAfterAConflict,
        TriedAgainAfterALostConnection,
    }

    /// <param name="Total">What its invoice of a month comes to, by the month's calls.</param>
    private sealed record Member(TestTenant Tenant, Func<int, decimal> Total)
    {
        public int Invoices { get; set; }
    }

    [Fact]
    public async Task Wherever_a_group_breaks_off_each_tenant_gets_its_invoice_once_and_no_number_is_lost()
    {
        var seed = System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"Seed {seed}");
        var random = new Random(seed);
        var group = await Group();
        var faults = new CloseFaults(billing);
        await faults.Install();

        // 1 what a close of this group writes
        var month = first;
        await Use(group, month);
        await faults.Count();
        (await CloseTogether(group)).ShouldBe(group.Count);
        var writes = await faults.Writes();
        await Invoiced(group, month, "unbroken");
        new[]
        {
            "billing_periods", "credit_grants", "events", "invoice_numbers", "invoices", "ledger_balances", "ledger_entries", "ledger_postings",
            "outbox", "subscriptions", "usage_trees", "wallet_transactions", CloseFaults.Commit,
        }.ShouldBeSubsetOf(writes.Keys);

        // 2 each step is broken off in two of the ways, at writes that the seed says, a month each
        var (turn, runs) = (random.Next(), Enum.GetValues<Run>());
        foreach (var step in writes.Keys.Order(StringComparer.Ordinal).SelectMany(step => new[] { step, step }))
        {
            // A month whose close writes less, as the first of a year, may not come to the fault: then the next one does.
            for (var brokenOff = false; !brokenOff;)
            {
                month = month.PlusMonths(1);
                month.Year.ShouldBeLessThan(2040, $"every step is reached, seed {seed}");
                var run = runs[turn++ % runs.Length];
                var culprit = group[random.Next(group.Count)];
                var at = 1 + random.NextInt64(run is Run.OneTenantFails ? Math.Max(1, writes[step] / group.Count) : writes[step]);
                var what = $"{run} at write {at} of {step} in {month:uuuu-MM}, seed {seed}";
                await Use(group, month);
                brokenOff = await Close(group, faults, run, step, at, culprit, what);
                await faults.Disarm();
                await CloseTogether(group);
                await Invoiced(group, month, what);
            }
        }

        var numbers = await billing.Strings("select data ->> 'number' from billing.invoices order by 1");
        numbers.GroupBy(number => number[..4]).ShouldAllBe(year => year.SequenceEqual(
            Enumerable.Range(1, year.Count()).Select(i => $"{year.Key}-{i:000000}")), $"no number is lost or given twice, seed {seed}");
        var books = (await billing.Operator.Get("/v1/ledger/trial-balance")).Json.GetProperty("totals").EnumerateArray().Single();
        Amount(books.GetProperty("debit")).ShouldBe(Amount(books.GetProperty("credit")), $"seed {seed}");
    }

    [Fact]
    public async Task A_tenant_whose_close_is_refused_keeps_no_other_of_its_group_from_its_invoice_and_is_named()
    {
        var group = await Group();
        var refused = group[1];
        // No subscription stands behind it: nothing that a process does writes such a row.
        await billing.Execute(
            $"""
            insert into billing.billing_periods (tenant_id, subscription_id, number, starts_at, ends_at)
            values ('{refused.Tenant.Id}', gen_random_uuid(), 1, '2026-01-01', '2026-01-31')
            """);
        await Use(group, first);

        var failed = await Should.ThrowAsync<AggregateException>(CloseAll(group));
        failed.InnerExceptions.ShouldHaveSingleItem().Message.ShouldContain(refused.Tenant.Id.ToString());
        await Invoiced([.. group.Where(member => member != refused)], first, "one is refused");
        (await billing.Count("invoices", refused.Tenant.Id)).ShouldBe(0);

        await billing.Execute($"delete from billing.billing_periods where tenant_id = '{refused.Tenant.Id}' and ends_at = '2026-01-31'");
        (await CloseAll(group)).ShouldBe(1);
        await Invoiced([refused], first, "refused before");
    }

    /// <returns>Whether the fault was come to.</returns>
    private async Task<bool> Close(
        IReadOnlyList<Member> group, CloseFaults faults, Run run, string step, long at, Member culprit, string what)
    {
        switch (run)
        {
            case Run.GroupBreaksOff:
                await faults.Arm(step, at, FaultKind.Failure);
                if (!await BreaksOff(() => CloseTogether(group)))
                    return false;
                await NothingIsLeft(group, what);
                return true;
            case Run.EachAloneAfterTheGroup:
                await faults.Arm(step, at, FaultKind.Failure);
                (await CloseAll(group)).ShouldBe(group.Count, what);
                return await Reached(faults, step, at);
            case Run.OneTenantFails:
                await faults.Arm(step, at, FaultKind.LastingFailure, culprit.Tenant.Id.Value);
                if (!await BreaksOff(() => CloseAll(group)))
                    return false;
                await NothingIsLeft([culprit], what);
                foreach (var other in group.Where(member => member != culprit))
                    (await billing.Count("invoices", other.Tenant.Id)).ShouldBe(other.Invoices + 1, what);
                return true;
            default:
                await faults.Arm(step, at, run is Run.TriedAgainAfterAConflict ? FaultKind.Conflict : FaultKind.LostConnection);
                (await CloseTogether(group)).ShouldBe(group.Count, what);
                return await Reached(faults, step, at);
        }
    }

    private static async Task<bool> Reached(CloseFaults faults, string step, long at) =>
        (await faults.Writes()).TryGetValue(step, out var writes) && writes >= at;

    private static async Task<bool> BreaksOff(Func<Task<int>> close)
    {
        try
        {
            await close();
            return false;
        }
        catch (Exception error) when (CloseFaults.BrokeOff(error))
        {
            return true;
        }
    }

    private async Task NothingIsLeft(IReadOnlyList<Member> members, string what)
    {
        foreach (var member in members)
        {
            (await billing.Count("invoices", member.Tenant.Id)).ShouldBe(member.Invoices, what);
            (await billing.Count("usage_trees", member.Tenant.Id)).ShouldBe(member.Invoices, what);
        }
    }

    private async Task Invoiced(IReadOnlyList<Member> members, LocalDate month, string what)
    {
        foreach (var member in members)
        {
            member.Invoices++;
            (await billing.Count("invoices", member.Tenant.Id)).ShouldBe(member.Invoices, what);
            var invoice = (await member.Tenant.Viewer.Get("/v1/invoices?limit=1")).Json.GetProperty("items")[0];
            invoice.GetProperty("billing_period").GetProperty("end").GetString().ShouldBe($"{month.PlusMonths(1):uuuu-MM-dd}T00:00:00Z", what);
            Amount(invoice.GetProperty("total")).ShouldBe(member.Total(Calls(month)), what);
            (await member.Tenant.Viewer.Get($"/v1/invoices/{invoice.GetProperty("invoice_id").GetString()}/replay"))
                .Json.GetProperty("identical").GetBoolean().ShouldBeTrue(what);
        }
    }

    /// <summary>Reports the month's use and lets it end.</summary>
    private async Task Use(IReadOnlyList<Member> group, LocalDate month)
    {
        billing.Clock.Set(month.PlusDays(10).AtStartOfDayInZone(DateTimeZone.Utc).ToInstant());
        foreach (var member in group)
            await billing.Use(member.Tenant, $"{month:uuuu-MM}", $"{month:uuuu-MM}-05T00:00:00Z", Calls(month));
        billing.Clock.Set(month.PlusMonths(1).AtStartOfDayInZone(DateTimeZone.Utc).ToInstant());
    }

    private static int Calls(LocalDate month) => month.Month;

    private Task<int> CloseTogether(IReadOnlyList<Member> group) => Closes.Do(
        [.. group.Select(member => member.Tenant.Id)], billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation);

    private Task<int> CloseAll(IReadOnlyList<Member> group) =>
        new RunDueWork([new ClosesOf(group, Closes)], billing.Clock, NullLogger<RunDueWork>.Instance)
            .Run(billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation);

    private CloseDuePeriods Closes => billing.Services.GetServices<IDueWork>().OfType<CloseDuePeriods>().Single();

    /// <summary>Tenants of one lane: one with two subscriptions, one with credit, one with a coupon.</summary>
    private async Task<IReadOnlyList<Member>> Group()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 1, 1, 0, 0));
        TestCatalog[] catalogs = [await billing.NewCatalog(), await billing.NewCatalog()];
        var tenants = await billing.NewTenantsOfOneLane(3);
        foreach (var tenant in tenants)
            await BillingHost.Subscribe(tenant, catalogs[0], startedAt: "2026-01-01T00:00:00Z");
        await BillingHost.Subscribe(tenants[0], catalogs[1], startedAt: "2026-01-01T00:00:00Z");
        await billing.Grant(tenants[1], "50000.00", "prepaid");
        var code = $"C{Guid.CreateVersion7():n}".ToUpperInvariant();
        var coupon = await billing.Operator.Post(
            "/v1/coupons", new { code, display_name = "A fifth", discount = new { kind = "percent", rate = "0.2" }, duration = "forever" });
        coupon.Status.ShouldBe(201, coupon.Text);
        var redeemed = await tenants[2].Admin.Post("/v1/coupons/redemptions", new { code });
        redeemed.Status.ShouldBe(201, redeemed.Text);
        return
        [
            new(tenants[0], calls => 62.00m + (2 * calls * 0.05m)),
            new(tenants[1], calls => 31.00m + (calls * 0.05m)),
            new(tenants[2], calls => (31.00m + (calls * 0.05m)) * 0.8m),
        ];
    }

    /// <summary>What of the closes that are due is the group's.</summary>
    private sealed class ClosesOf(IReadOnlyList<Member> group, IDueWork closes) : IDueWork
    {
        public string Name => closes.Name;

        public async Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
            [.. (await closes.Due(asOf, after, limit, cancellation)).Where(due => group.Any(member => member.Tenant.Id == due.TenantId))];

        public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
            closes.NextDue(tenant, upTo, cancellation);

        public IEnumerable<IReadOnlyList<TenantId>> Groups(IEnumerable<TenantId> tenants) => closes.Groups(tenants);

        public Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation) =>
            closes.Do(tenant, asOf, cause, cancellation);

        public Task<int> Do(IReadOnlyList<TenantId> tenants, Instant asOf, Cause cause, CancellationToken cancellation) =>
            closes.Do(tenants, asOf, cause, cancellation);
    }

    private static decimal Amount(JsonElement money) => decimal.Parse(money.GetProperty("amount").GetString()!, CultureInfo.InvariantCulture);
}
