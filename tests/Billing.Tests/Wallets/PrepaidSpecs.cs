using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tests.Http;
using Platform.EventStore;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Wallets;

/// <summary>Credit on invoices, over months; the clock moves, so this class has a host of its own.</summary>
public sealed class PrepaidSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    [Fact]
    public async Task Three_invoices_burn_two_grants_down_by_priority_and_what_expires_between_them_pays_nothing()
    {
        var (tenant, _) = await New();
        var prepaid = await billing.Grant(tenant, "40.00", "prepaid");
        var gift = await billing.Grant(tenant, "50.00", "promotional", priority: 10, expiresAt: "2026-04-15T00:00:00Z");

        // Each month owes a fee of 31.00.
        foreach (var now in new[] { "2026-04-01T00:00:00Z", "2026-04-15T00:00:00Z", "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z" })
            await billing.RunAt(now);

        var invoices = await Invoices(tenant);
        invoices.Select(it => (Money(it, "total"), Money(it, "credit_applied"), Money(it, "amount_due"))).ShouldBe(
            [("31.00", "31.00", "0.00"), ("31.00", "31.00", "0.00"), ("31.00", "9.00", "22.00")]);
        invoices.Select(Parts).ShouldBe([[(gift, "31.00")], [(prepaid, "31.00")], [(prepaid, "9.00")]]);
        (await Transactions(tenant)).ShouldBe(
            [("granted", "40.00"), ("granted", "50.00"), ("consumed", "-31.00"), ("expired", "-19.00"), ("consumed", "-31.00"), ("consumed", "-9.00")]);
        Money((await tenant.Viewer.Get("/v1/wallet")).Json, "balance").ShouldBe("0.00");
        (await Balances(tenant)).ShouldBe(new Dictionary<string, string>
        {
            ["cash"] = "40.00",
            ["promotion_expense"] = "31.00",
            ["receivable"] = "22.00",
            ["revenue"] = "-93.00",
            ["wallet"] = "0.00",
        });
    }

    [Fact]
    public async Task Every_cent_of_an_invoice_and_of_a_grant_can_be_followed()
    {
        var (tenant, _) = await New();
        foreach (var (amount, priority, expires) in new[] { ("7.77", 50, null), ("5.01", 20, "2026-05-02T00:00:00Z"), ("30.00", 80, (string?)null) })
            await billing.Grant(tenant, amount, "prepaid", priority, expires);
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 1000);
        await billing.RunAt("2026-04-01T00:00:00Z");
        // What is taken back of March makes April's invoice negative, and the excess a grant.
        await Correct(tenant.Admin, "void", "1");
        await billing.RunAt("2026-05-01T00:00:00Z");
        await billing.RunAt("2026-06-01T00:00:00Z");

        var invoices = (await Invoices(tenant)).ToDictionary(it => it.GetProperty("invoice_id").GetString()!);
        var transactions = (await tenant.Viewer.Get("/v1/wallet/transactions")).Json.GetProperty("items").EnumerateArray().ToList();
        foreach (var (id, invoice) in invoices)
        {
            Parts(invoice).Sum(part => Number(part.Amount)).ShouldBe(Number(Money(invoice, "credit_applied")));
            (Number(Money(invoice, "amount_due")) + Number(Money(invoice, "credit_applied"))).ShouldBe(Number(Money(invoice, "total")));
            transactions.Where(it => it.GetProperty("type").GetString() == "consumed" && it.GetProperty("invoice_id").GetString() == id)
                .Sum(it => Number(Money(it, "amount"))).ShouldBe(-Number(Money(invoice, "credit_applied")));
        }

        foreach (var grant in (await tenant.Viewer.Get("/v1/wallet/grants")).Json.GetProperty("items").EnumerateArray())
        {
            var parts = transactions.SelectMany(it => it.GetProperty("parts").EnumerateArray())
                .Where(part => part.GetProperty("grant_id").GetString() == grant.GetProperty("grant_id").GetString());
            parts.Sum(part => Number(Money(part, "amount"))).ShouldBe(Number(Money(grant, "remaining")));
        }

        var adjustment = (await tenant.Viewer.Get("/v1/wallet/grants")).Json.GetProperty("items").EnumerateArray()
            .Single(grant => grant.GetProperty("kind").GetString() == "adjustment");
        var source = invoices[adjustment.GetProperty("source_invoice_id").GetString()!];
        (Money(source, "subtotal"), Money(source, "total"), Money(source, "to_wallet"), Money(adjustment, "amount"))
            .ShouldBe(("-19.00", "0.00", "19.00", "19.00"));
    }

    [Fact]
    public async Task Eight_runners_spend_no_cent_twice()
    {
        var tenants = new List<TestTenant>();
        for (var i = 0; i < 4; i++)
        {
            var (tenant, _) = await New();
            await billing.Grant(tenant, "40.00", "prepaid");
            tenants.Add(tenant);
        }

        billing.Clock.Set(Instant.FromUtc(2026, 5, 1, 0, 0));
        var run = billing.Services.GetRequiredService<RunDueWork>();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
            run.Run(billing.Clock.Now, Cause.Unknown, BillingHost.Cancellation))));

        foreach (var tenant in tenants)
        {
            (await Invoices(tenant)).Select(it => (Money(it, "credit_applied"), Money(it, "amount_due")))
                .ShouldBe([("31.00", "0.00"), ("9.00", "22.00")]);
            Money((await tenant.Viewer.Get("/v1/wallet")).Json, "balance").ShouldBe("0.00");
        }
    }

    [Fact]
    public async Task Expired_credit_is_worth_nothing_before_it_is_written_off_and_is_written_off_once()
    {
        var (tenant, _) = await New();
        await billing.Grant(tenant, "10.00", "prepaid", expiresAt: "2026-03-20T00:00:00Z");
        billing.Clock.Set(Instant.FromUtc(2026, 3, 20, 0, 0));

        Money((await tenant.Viewer.Get("/v1/wallet")).Json, "balance").ShouldBe("0.00");
        (await Transactions(tenant)).ShouldBe([("granted", "10.00")]);
        await billing.RunAt("2026-03-20T00:00:00Z");
        await billing.RunAt("2026-03-21T00:00:00Z");

        (await Transactions(tenant)).ShouldBe([("granted", "10.00"), ("expired", "-10.00")]);
        (await Balances(tenant)).ShouldBe(new Dictionary<string, string>
        {
            ["breakage_revenue"] = "-10.00",
            ["cash"] = "10.00",
            ["wallet"] = "0.00",
        });
    }

    private TestCatalog? meters;

    private async Task<(TestTenant Tenant, Guid Subscription)> New()
    {
        billing.Clock.Set(Instant.FromUtc(2026, 3, 10, 12, 0));
        var tenant = await billing.NewTenant();
        meters ??= await billing.NewCatalog();
        return (tenant, await BillingHost.Subscribe(tenant, meters));
    }

    /// <summary>The oldest first.</summary>
    private static async Task<List<JsonElement>> Invoices(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices")).Json.GetProperty("items").EnumerateArray().Reverse()];

    /// <summary>The oldest first.</summary>
    private static async Task<List<(string?, string?)>> Transactions(TestTenant tenant) =>
    [
        .. (await tenant.Viewer.Get("/v1/wallet/transactions")).Json.GetProperty("items").EnumerateArray().Reverse()
            .Select(it => (it.GetProperty("type").GetString(), Money(it, "amount"))),
    ];

    /// <summary>What each account came to; debits above zero.</summary>
    private static async Task<Dictionary<string, string>> Balances(TestTenant tenant) =>
        (await tenant.Viewer.Get("/v1/ledger/balances")).Json.GetProperty("balances").EnumerateArray()
            .GroupBy(it => it.GetProperty("account").GetString()!, it => Number(Money(it, "net")))
            .ToDictionary(it => it.Key, it => it.Sum().ToString("F2", CultureInfo.InvariantCulture));

    private static (string? Grant, string? Amount)[] Parts(JsonElement invoice) =>
        [.. invoice.GetProperty("credit_parts").EnumerateArray().Select(part => (part.GetProperty("grant_id").GetString(), Money(part, "amount")))];

    private static string? Money(JsonElement of, string name) => of.GetProperty(name).GetProperty("amount").GetString();

    private static decimal Number(string? text) => decimal.Parse(text!, CultureInfo.InvariantCulture);
}
