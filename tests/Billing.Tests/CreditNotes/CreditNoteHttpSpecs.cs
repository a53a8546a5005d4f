using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.CreditNotes;

/// <summary>Credit notes as operators issue them and tenants read them.</summary>
public sealed class CreditNoteHttpSpecs(BillingHost billing)
{
    [Fact]
    public async Task Credit_notes_go_up_to_the_invoice_and_not_beyond()
    {
        var (tenant, invoice) = await Invoiced();

        var first = await Credit(tenant, invoice, (1, "4.00"), (3, "0.50"));
        var rest = await Credit(tenant, invoice, (1, "5.00"));
        var beyond = await Credit(tenant, invoice, (1, "0.01"));

        (first.Status, rest.Status).ShouldBe((201, 201), first.Text + rest.Text);
        (beyond.Status, beyond.Code).ShouldBe((422, "credit_note.exceeds_line"));
        beyond.Fields.ShouldBe(["lines[0].amount"]);
        Money(first.Json, "total").ShouldBe("4.50");
        Money((await tenant.Viewer.Get($"/v1/invoices/{invoice}")).Json, "amount_due").ShouldBe("0.00");
        Money((await tenant.Viewer.Get($"/v1/invoices/{invoice}")).Json, "total").ShouldBe("9.50", "an invoice never changes");
        var listed = (await tenant.Viewer.Get($"/v1/credit-notes?invoice_id={invoice}")).Json.GetProperty("items").EnumerateArray().ToList();
        listed.Select(note => Money(note, "total")).ShouldBe(["5.00", "4.50"], ignoreOrder: true);
        (await tenant.Viewer.Get($"/v1/credit-notes/{first.Json.GetProperty("credit_note_id").GetString()}")).Text.ShouldBe(first.Text);
        (await tenant.Viewer.Get($"/v1/credit-notes/{first.Json.GetProperty("credit_note_id").GetString()}/ubl")).Text
            .ShouldContain($"<cbc:ID>{first.Json.GetProperty("number").GetString()}</cbc:ID>");
        (await Net(tenant, "receivable")).ShouldBe(["0.00"]);
        (await Net(tenant, "revenue")).ShouldAllBe(net => net == "0.00");
    }

    [Fact]
    public async Task Eight_clients_at_once_do_not_exceed_together_and_their_numbers_have_no_gap()
    {
        var (tenant, invoice) = await Invoiced();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Credit(tenant, invoice, (1, "2.00")))));

        // A line of 9.00 has four times 2.00 in it.
        answers.Count(answer => answer.Status == 201).ShouldBe(4);
        answers.Where(answer => answer.Status != 201).ShouldAllBe(answer => answer.Code == "credit_note.exceeds_line");
        Money((await tenant.Viewer.Get($"/v1/invoices/{invoice}")).Json, "amount_due").ShouldBe("1.50");
        var numbers = await billing.Strings("select data ->> 'number' from billing.credit_notes order by 1");
        numbers.ShouldBe(Enumerable.Range(1, numbers.Length).Select(i => $"CN-2026-{i:000000}"));
    }

    [Fact]
    public async Task What_credit_paid_comes_back_as_credit_that_the_note_names()
    {
        var (tenant, invoice) = await Invoiced(credit: "8.00");

        var note = await Credit(tenant, invoice, (1, "5.00"));

        note.Status.ShouldBe(201, note.Text);
        (Money(note.Json, "reduces_due"), Money(note.Json, "to_wallet")).ShouldBe(("1.50", "3.50"));
        var wallet = (await tenant.Viewer.Get("/v1/wallet")).Json;
        Money(wallet, "balance").ShouldBe("3.50");
        var grant = wallet.GetProperty("grants")[0];
        grant.GetProperty("grant_id").GetString().ShouldBe(note.Json.GetProperty("credit_note_id").GetString());
        grant.GetProperty("source_invoice_id").GetGuid().ShouldBe(invoice);
        (await Net(tenant, "receivable")).ShouldBe(["0.00"]);
    }

    [Fact]
    public async Task A_repeated_request_issues_one_note()
    {
        var (tenant, invoice) = await Invoiced();
        var key = Guid.CreateVersion7().ToString();
        var body = new { lines = new[] { new { line = 1, amount = new { amount = "1.00", currency = "EUR" } } }, reason = "Not as agreed" };

        var first = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/credit-notes", body, key);
        var again = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/credit-notes", body, key);

        again.Text.ShouldBe(first.Text);
        (await billing.Count("credit_notes", tenant.Id)).ShouldBe(1);
    }

    [Theory]
    [InlineData("""{"lines":[],"reason":"r"}""", 400, "lines")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"0.00","currency":"EUR"}}],"reason":"r"}""", 400, "lines[0].amount")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"1.00","currency":"EUR"}},{"line":1,"amount":{"amount":"1.00","currency":"EUR"}}],"reason":"r"}""", 400, "lines[1].line")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"1.00","currency":"EUR"}}]}""", 400, "reason")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"1.00","currency":"EUR"}}],"reason":""}""", 400, "reason")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"1.00","currency":"EUR"}}],"reason":"r","outcome":"gift"}""", 400, "outcome")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"1.00","currency":"USD"}}],"reason":"r"}""", 422, "lines[0].amount")]
    [InlineData("""{"lines":[{"line":9,"amount":{"amount":"1.00","currency":"EUR"}}],"reason":"r"}""", 422, "lines[0].line")]
    [InlineData("""{"lines":[{"line":1,"amount":{"amount":"1.00","currency":"EUR"}}],"reason":"r","outcome":"wallet"}""", 422, "outcome")]
    public async Task A_wrong_note_is_refused_by_its_field(string body, int status, string field)
    {
        var (tenant, invoice) = await Invoiced();

        var answer = await billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/credit-notes", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldBe([field], answer.Text);
        (await billing.Count("credit_notes", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task Another_tenants_invoice_is_not_there()
    {
        var (_, invoice) = await Invoiced();
        var stranger = await billing.NewTenant();

        (await Credit(stranger, invoice, (1, "1.00"))).Code.ShouldBe("invoice.not_found");
        (await stranger.Admin.Get("/v1/credit-notes")).Json.GetProperty("items").GetArrayLength().ShouldBe(0);
    }

    /// <summary>An invoice of 9.50: nine days' fee, no GPU time, ten calls.</summary>
    private async Task<(TestTenant Tenant, Guid Invoice)> Invoiced(string? credit = null)
    {
        var tenant = await billing.NewTenant();
        if (credit is not null)
            await billing.Grant(tenant, credit, "prepaid");
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 10);
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        return (tenant, closed.Json.GetProperty("invoice_id").GetGuid());
    }

    private Task<Answer> Credit(TestTenant tenant, Guid invoice, params (int Line, string Amount)[] lines) =>
        billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/credit-notes", new
        {
            lines = lines.Select(line => new { line = line.Line, amount = new { amount = line.Amount, currency = "EUR" } }).ToArray(),
            reason = "Not as agreed",
        });

    private static async Task<string?[]> Net(TestTenant tenant, string account) =>
    [
        .. (await tenant.Viewer.Get("/v1/ledger/balances")).Json.GetProperty("balances").EnumerateArray()
            .Where(balance => balance.GetProperty("account").GetString() == account).Select(balance => Money(balance, "net")),
    ];

    private static string? Money(JsonElement of, string name) => of.GetProperty(name).GetProperty("amount").GetString();
}
