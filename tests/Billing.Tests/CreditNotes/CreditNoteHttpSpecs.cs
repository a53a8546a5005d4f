using System.Text.Json;
using Platform.Billing.Tests.Http;
using Platform.Billing.Tests.Payments;
using static Platform.Billing.Tests.Payments.PaymentWorld;

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
        // Sandboxes of other tests have series of their own.
        var numbers = await billing.Strings("select data ->> 'number' from billing.credit_notes where data ->> 'number' like 'CN-%' order by 1");
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
    public async Task A_credit_note_takes_back_its_part_of_the_tax_and_leaves_nothing_in_the_books()
    {
        // A jurisdiction that no other test of the host taxes.
        await billing.Operator.Post("/v1/tax-rates", new { jurisdiction = "FI", rate = "0.255", valid_from = "2020-01-01" });
        var tenant = await billing.NewTenant();
        (await billing.Operator.Put($"/v1/tenants/{tenant.Id}/tax-profile", new { jurisdiction = "FI" })).Status.ShouldBe(200);
        var (_, invoice) = await Invoiced(of: tenant);
        // 9.50 with 2.4225 of tax, rounded 2.42: the lines are 11.29 and 0.63.
        var first = await Credit(tenant, invoice, (1, "5.00"));

        var rest = await Credit(tenant, invoice, (1, null), (3, null));

        (Money(first.Json, "total"), Money(first.Json, "tax_total")).ShouldBe(("5.00", "1.01"));
        (Money(rest.Json, "total"), Money(rest.Json, "tax_total")).ShouldBe(("6.92", "1.41"));
        foreach (var account in new[] { "receivable", "tax_payable" })
            (await Net(tenant, account)).ShouldBe(["0.00"], account);
        (await Net(tenant, "revenue")).ShouldAllBe(net => net == "0.00");
        var id = rest.Json.GetProperty("credit_note_id").GetString();
        (await tenant.Viewer.Get($"/v1/credit-notes/{id}/ubl")).Text.ShouldContain("<cbc:TaxAmount currencyID=\"EUR\">1.41</cbc:TaxAmount>");
        (await tenant.Viewer.Get($"/v1/credit-notes/{id}/pdf")).Text.ShouldStartWith("%PDF-");
        (await (await billing.NewTenant()).Admin.Get($"/v1/credit-notes/{id}/pdf")).Code.ShouldBe("credit_note.not_found");
    }

    [Fact]
    public async Task What_was_paid_through_the_gateway_is_paid_back_through_it()
    {
        var (tenant, invoice) = await billing.Owing("tok_success");
        await billing.Collect(tenant);
        var payment = await PaymentOf(tenant);

        var note = await Credit(tenant, invoice, "refund", (1, "4.00"));
        var beyond = await Credit(tenant, invoice, "refund", (1, "5.01"));

        note.Status.ShouldBe(201, note.Text);
        (Money(note.Json, "to_refund"), Money(note.Json, "to_wallet"), Money(note.Json, "reduces_due")).ShouldBe(("4.00", "0.00", "0.00"));
        beyond.Code.ShouldBe("credit_note.exceeds_line");
        var refund = (await tenant.Viewer.Get($"/v1/refunds?payment_id={payment}")).Json.GetProperty("items").EnumerateArray()
            .ShouldHaveSingleItem();
        (refund.GetProperty("status").GetString(), Money(refund, "amount"), refund.GetProperty("credit_note_id").GetString())
            .ShouldBe(("succeeded", "4.00", note.Json.GetProperty("credit_note_id").GetString()));
        (await Balances(tenant)).ShouldBe(["cash 5.00", "revenue -5.00"]);
    }

    [Fact]
    public async Task What_was_not_paid_through_a_gateway_or_is_paid_back_already_is_not_paid_back_by_a_note()
    {
        var (byBank, transferred) = await billing.Owing();
        await billing.Operator.For(byBank.Id).Post(
            $"/v1/invoices/{transferred}/payments", new { amount = new { amount = "9.00", currency = "EUR" }, reference = "RE 2026-000042" });
        var (tenant, charged) = await billing.Owing("tok_success");
        await billing.Collect(tenant);
        await billing.Operator.For(tenant.Id).Post($"/v1/payments/{await PaymentOf(tenant)}/refunds", new { reason = "Goodwill" });

        foreach (var (of, invoice) in new[] { (byBank, transferred), (tenant, charged) })
        {
            var refused = await Credit(of, invoice, "refund", (1, "1.00"));
            (refused.Status, refused.Code, refused.Fields.Single()).ShouldBe((422, "credit_note.exceeds_payments", "outcome"));
        }
    }

    [Fact]
    public async Task A_note_whose_refund_fails_leaves_the_amount_owed_back()
    {
        var (tenant, invoice) = await billing.Owing("tok_refund_decline");
        await billing.Collect(tenant);

        (await Credit(tenant, invoice, "refund", (1, "4.00"))).Status.ShouldBe(201);

        (await Balances(tenant)).ShouldBe(["cash 9.00", "refunds_payable -4.00", "revenue -5.00"]);
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
    private async Task<(TestTenant Tenant, Guid Invoice)> Invoiced(string? credit = null, TestTenant? of = null)
    {
        var tenant = of ?? await billing.NewTenant();
        if (credit is not null)
            await billing.Grant(tenant, credit, "prepaid");
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        await billing.Use(tenant, "1", "2026-03-05T00:00:00Z", calls: 10);
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        closed.Status.ShouldBe(201, closed.Text);
        return (tenant, closed.Json.GetProperty("invoice_id").GetGuid());
    }

    private Task<Answer> Credit(TestTenant tenant, Guid invoice, params (int Line, string? Amount)[] lines) =>
        Credit(tenant, invoice, outcome: null, lines);

    /// <param name="lines">Without an amount, all that is left of the line.</param>
    private Task<Answer> Credit(TestTenant tenant, Guid invoice, string? outcome, params (int Line, string? Amount)[] lines) =>
        billing.Operator.For(tenant.Id).Post($"/v1/invoices/{invoice}/credit-notes", new
        {
            lines = lines.Select(line => new
            {
                line = line.Line,
                amount = line.Amount is { } amount ? new { amount, currency = "EUR" } : null,
            }).ToArray(),
            outcome,
            reason = "Not as agreed",
        });

    private static async Task<string?[]> Net(TestTenant tenant, string account) =>
    [
        .. (await tenant.Viewer.Get("/v1/ledger/balances")).Json.GetProperty("balances").EnumerateArray()
            .Where(balance => balance.GetProperty("account").GetString() == account).Select(balance => Money(balance, "net")),
    ];

    private static string? Money(JsonElement of, string name) => of.GetProperty(name).GetProperty("amount").GetString();
}
