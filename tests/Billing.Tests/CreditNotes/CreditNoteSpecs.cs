using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.CreditNotes;

using InvoiceSpec = Spec<Invoice, InvoiceEvent>;

public class CreditNoteSpecs
{
    // Lines of 100.00, 50.00 and -30.00, so 120.00; of which credit paid some at finalization. Earlier notes and what is asked for are
    // line:cents; "reduces due / to wallet" or the refusal.
    [Theory]
    [InlineData(0, "", "1:2500", null, "2500/0")]
    [InlineData(0, "", "1:10000", null, "10000/0")]
    [InlineData(0, "", "1:10001", null, "credit_note.exceeds_line")]
    [InlineData(0, "", "1:7000 2:5000", null, "12000/0")]
    [InlineData(0, "", "1:7001 2:5000", null, "credit_note.exceeds_invoice")]
    [InlineData(0, "", "3:1", null, "credit_note.exceeds_line")]
    [InlineData(0, "", "4:1", null, "credit_note.line_unknown")]
    // what earlier notes took is gone
    [InlineData(0, "1:6000", "1:4000", null, "4000/0")]
    [InlineData(0, "1:6000", "1:4001", null, "credit_note.exceeds_line")]
    [InlineData(0, "1:10000", "2:2000", null, "2000/0")]
    [InlineData(0, "1:10000", "2:2001", null, "credit_note.exceeds_invoice")]
    // what credit paid comes back as credit, after what is due
    [InlineData(12000, "", "1:2500", null, "0/2500")]
    [InlineData(11000, "", "1:2500", null, "1000/1500")]
    [InlineData(11000, "1:500", "1:2500", null, "500/2000")]
    [InlineData(11000, "1:3000", "1:2500", null, "0/2500")]
    // as asked for, or not at all
    [InlineData(11000, "", "1:1000", "ReduceDue", "1000/0")]
    [InlineData(11000, "", "1:1001", "ReduceDue", "credit_note.exceeds_due")]
    [InlineData(11000, "", "1:2500", "Wallet", "0/2500")]
    [InlineData(0, "", "1:2500", "Wallet", "credit_note.not_settled")]
    [InlineData(2500, "", "1:2500", "Wallet", "0/2500")]
    [InlineData(2500, "", "1:2501", "Wallet", "credit_note.not_settled")]
    public void A_credit_note_takes_no_more_than_is_left(long paidByCredit, string before, string asked, string? outcome, string expected)
    {
        var history = Invoiced(paidByCredit);
        if (before.Length > 0)
            history = [.. history, .. IssueCreditNote.Decide(Asked(before), EventStore.Fold.After(Invoice.Initial, history)).Events];

        var decision = IssueCreditNote.Decide(
            Asked(asked) with { Outcome = outcome is null ? null : Enum.Parse<CreditNoteOutcome>(outcome) },
            EventStore.Fold.After(Invoice.Initial, history));

        var result = decision.Events is [CreditNoteIssued it, ..] ? $"{it.ReducesDue.MinorUnits}/{it.ToWallet.MinorUnits}" : decision.Refusal!.Code;
        result.ShouldBe(expected);
        if (decision.Events is [CreditNoteIssued issued, ..])
        {
            issued.Total.ShouldBe(issued.ReducesDue + issued.ToWallet);
            issued.Total.MinorUnits.ShouldBe(issued.Lines.Sum(line => line.Amount.MinorUnits));
        }
    }

    [Fact]
    public void The_same_note_again_changes_nothing()
    {
        var command = Asked("1:100");
        var issued = IssueCreditNote.Decide(command, EventStore.Fold.After(Invoice.Initial, Invoiced()));

        InvoiceSpec.Given([.. Invoiced(), .. issued.Events]).When(invoice => IssueCreditNote.Decide(command, invoice)).ThenNothing();
    }

    [Fact]
    public void Only_a_finalized_invoice_is_credited()
    {
        InvoiceSpec.Given().When(invoice => IssueCreditNote.Decide(Asked("1:1"), invoice)).ThenRefused("invoice.not_found");
        InvoiceSpec.Given(Drafted(), Line()).When(invoice => IssueCreditNote.Decide(Asked("1:1"), invoice)).ThenRefused("invoice.not_finalized");
    }

    [Fact]
    public void Another_currency_is_refused() =>
        InvoiceSpec.Given([.. Invoiced()])
            .When(invoice => IssueCreditNote.Decide(Asked("1:1") with { Lines = [new(1, new(1, Currency.USD))] }, invoice))
            .ThenRefused("credit_note.currency_differs");

    private static InvoiceEvent[] Invoiced(long paidByCredit = 0) =>
    [
        Drafted(), Line(1, cents: 100_00), Line(2, cents: 50_00), Line(3, cents: -30_00) with { Kind = LineKind.LateUsage },
        Finalized(cents: 120_00) with
        {
            CreditApplied = paidByCredit == 0 ? [] : [new(TheGrant, Billing.Wallets.CreditKind.Prepaid, new(paidByCredit, Currency.EUR))],
        },
    ];

    private static IssueCreditNote.Command Asked(string lines) => new(
        CreditNoteId.New(), "CN-2026-000001", TheInvoice,
        [
            .. lines.Split(' ').Select(line => line.Split(':'))
                .Select(line => new IssueCreditNote.LineToCredit(int.Parse(line[0], null), new(long.Parse(line[1], null), Currency.EUR))),
        ],
        Outcome: null, "Not as agreed", Noon);
}
