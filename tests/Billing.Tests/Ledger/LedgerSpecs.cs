using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Platform.Billing.Tests.Http;
using Platform.EventStore;

namespace Platform.Billing.Tests.Ledger;

/// <summary>The books as tenants and operators read them.</summary>
public sealed class LedgerSpecs(BillingHost billing)
{
    [Fact]
    public async Task An_invoice_is_in_the_books_with_its_own_transaction()
    {
        var (tenant, invoice) = await Invoiced();

        var posting = Items(await tenant.Viewer.Get("/v1/ledger/postings")).ShouldHaveSingleItem();

        posting.GetProperty("event_type").GetString().ShouldBe("invoice.finalized.v1");
        posting.GetProperty("subject_type").GetString().ShouldBe("invoice");
        posting.GetProperty("subject_id").GetGuid().ShouldBe(invoice);
        Entries(posting).ShouldBe(
            [("receivable", null, "debit", "9.50"), ("revenue", "recurring_fee", "credit", "9.00"), ("revenue", "usage", "credit", "0.50")]);
        Balances(await tenant.Viewer.Get("/v1/ledger/balances")).ShouldBe(
            [("receivable", null, "9.50"), ("revenue", "recurring_fee", "-9.00"), ("revenue", "usage", "-0.50")]);
    }

    [Fact]
    public async Task Postings_come_in_pages_and_by_what_they_are_about()
    {
        var (tenant, first) = await Invoiced();
        var catalog = await billing.NewCatalog();
        var second = await Close(tenant, await BillingHost.Subscribe(tenant, catalog with { PlanId = await OtherMeters() }));

        var page = await tenant.Viewer.Get("/v1/ledger/postings?limit=1");
        var next = await tenant.Viewer.Get($"/v1/ledger/postings?limit=1&cursor={page.Json.GetProperty("next_cursor").GetString()}");

        Subject(Items(page).ShouldHaveSingleItem()).ShouldBe(first);
        Subject(Items(next).ShouldHaveSingleItem()).ShouldBe(second);
        next.Json.GetProperty("next_cursor").ValueKind.ShouldBe(JsonValueKind.Null);
        Subject(Items(await tenant.Viewer.Get($"/v1/ledger/postings?subject_id={second}")).ShouldHaveSingleItem()).ShouldBe(second);

        static Guid Subject(JsonElement posting) => posting.GetProperty("subject_id").GetGuid();

        // A tenant's meters are billed by one subscription at a time.
        async Task<Guid> OtherMeters()
        {
            var plan = await billing.Operator.Post("/v1/plans", new
            {
                key = $"p{Guid.CreateVersion7():n}",
                display_name = "Fee alone",
                recurring_fee = new { amount = "31.00", currency = "EUR" },
                proration = "days",
                charges = Array.Empty<object>(),
            });
            plan.Status.ShouldBe(201, plan.Text);
            return plan.Json.GetProperty("plan_id").GetGuid();
        }
    }

    [Fact]
    public async Task A_tenant_reads_its_own_books_and_an_operator_those_of_any()
    {
        var (tenant, _) = await Invoiced();
        var stranger = await billing.NewTenant();

        Items(await stranger.Viewer.Get("/v1/ledger/postings")).ShouldBeEmpty();
        Balances(await stranger.Viewer.Get("/v1/ledger/balances")).ShouldBeEmpty();
        Balances(await billing.Operator.For(tenant.Id).Get("/v1/ledger/balances")).Length.ShouldBe(3);
        (await billing.CountAsApplication("ledger_entries")).ShouldBe(0);
    }

    [Fact]
    public async Task The_trial_balance_is_even_in_every_currency()
    {
        await Invoiced();
        await Invoiced("JPY");

        var trial = await billing.Operator.Get("/v1/ledger/trial-balance");

        var totals = trial.Json.GetProperty("totals").EnumerateArray().Select(total => (
            Debit: total.GetProperty("debit").GetProperty("amount").GetString(),
            Credit: total.GetProperty("credit").GetProperty("amount").GetString(),
            Currency: total.GetProperty("debit").GetProperty("currency").GetString())).ToList();
        totals.ShouldAllBe(total => total.Debit == total.Credit);
        ((string[])["EUR", "JPY"]).ShouldBeSubsetOf(totals.Select(total => total.Currency!));
    }

    [Fact]
    public async Task What_sandboxes_try_out_is_not_in_the_trial_balance()
    {
        var sandbox = await billing.NewTenant(currency: "KWD", sandboxAt: "2027-01-01T00:00:00Z");
        var granted = await billing.Operator.For(sandbox.Id).Post(
            "/v1/wallet/grants", new { amount = new { amount = "5.000", currency = "KWD" }, kind = "promotional", reason = "To try out." });
        granted.Status.ShouldBe(201, granted.Text);

        var trial = await billing.Operator.Get("/v1/ledger/trial-balance");

        Balances(await sandbox.Viewer.Get("/v1/ledger/balances")).Length.ShouldBe(2);
        trial.Json.GetProperty("balances").EnumerateArray()
            .Where(balance => balance.GetProperty("account").GetString() == "promotion_expense")
            .Select(balance => balance.GetProperty("net").GetProperty("currency").GetString()).ShouldNotContain("KWD");
    }

    [Fact]
    public async Task Every_balance_is_the_sum_of_its_entries_and_a_rebuild_makes_the_same_books()
    {
        var (tenant, _) = await Invoiced();
        string[] live = [.. await Rows("ledger_postings"), .. await Rows("ledger_entries"), .. await Rows("ledger_balances")];

        await billing.Services.GetRequiredService<Rebuild>().Run("ledger_entries", BillingHost.Cancellation);

        string[] rebuilt = [.. await Rows("ledger_postings"), .. await Rows("ledger_entries"), .. await Rows("ledger_balances")];
        rebuilt.ShouldBe(live);
        (await billing.Strings(
            """
            select entries::text from (
                select tenant_id, account, kind, currency, sum(greatest(amount, 0)) debit, sum(greatest(-amount, 0)) credit
                from billing.ledger_entries group by tenant_id, account, kind, currency
            ) entries
            full join billing.ledger_balances balance using (tenant_id, account, kind, currency)
            where entries.debit is distinct from balance.debit or entries.credit is distinct from balance.credit
            """)).ShouldBeEmpty();

        // Other tests' tenants go on meanwhile.
        Task<string[]> Rows(string table) =>
            billing.Strings($"select it::text from billing.{table} it where tenant_id = '{tenant.Id}' order by 1");
    }

    private async Task<(TestTenant Tenant, Guid Invoice)> Invoiced(string currency = "EUR")
    {
        var tenant = await billing.NewTenant(currency: currency);
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog(currency));
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 10);
        return (tenant, await Close(tenant, subscription));
    }

    private static async Task<Guid> Close(TestTenant tenant, Guid subscription)
    {
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        return closed.Json.GetProperty("invoice_id").GetGuid();
    }

    private static JsonElement[] Items(Answer answer) => [.. answer.Json.GetProperty("items").EnumerateArray()];

    private static (string?, string?, string?, string?)[] Entries(JsonElement posting) =>
    [
        .. posting.GetProperty("entries").EnumerateArray().Select(entry => (
            entry.GetProperty("account").GetString(), entry.GetProperty("kind").GetString(), entry.GetProperty("side").GetString(),
            entry.GetProperty("amount").GetProperty("amount").GetString())),
    ];

    private static (string?, string?, string?)[] Balances(Answer answer) =>
    [
        .. answer.Json.GetProperty("balances").EnumerateArray().Select(balance => (
            balance.GetProperty("account").GetString(), balance.GetProperty("kind").GetString(),
            balance.GetProperty("net").GetProperty("amount").GetString())),
    ];
}
