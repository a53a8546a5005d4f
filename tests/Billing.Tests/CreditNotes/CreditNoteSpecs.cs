using FsCheck;
using FsCheck.Fluent;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
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
    // all that is left of a line
    [InlineData(0, "1:6000", "1:", null, "4000/0")]
    [InlineData(0, "1:10000", "1:", null, "credit_note.nothing_left")]
    [InlineData(0, "", "3:", null, "credit_note.nothing_left")]
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

    // An invoice of 120.00, of which gateways brought some; what of that can be paid back still, and what is asked for.
    [Theory]
    [InlineData(12000, 12000, "1:2500", "2500")]
    [InlineData(12000, 2500, "1:2500", "2500")]
    [InlineData(12000, 2499, "1:2500", "credit_note.exceeds_payments")]
    [InlineData(2500, 2500, "1:2500", "2500")]
    [InlineData(2500, 2500, "1:2501", "credit_note.not_settled")]
    [InlineData(0, 0, "1:2500", "credit_note.not_settled")]
    public void What_gateways_brought_is_paid_back_and_no_more(long paid, long refundable, string asked, string expected)
    {
        InvoiceEvent[] payment = paid > 0 ? [new InvoicePaymentApplied(ThePayment, Euro(paid), Noon)] : [];
        InvoiceEvent[] history = [.. Invoiced(), .. payment];

        var decision = IssueCreditNote.Decide(
            Asked(asked) with { Outcome = CreditNoteOutcome.Refund, Refundable = Euro(refundable) },
            EventStore.Fold.After(Invoice.Initial, history));

        (decision.Events is [CreditNoteIssued it, ..] ? $"{it.ToRefund.MinorUnits}" : decision.Refusal!.Code).ShouldBe(expected);
        if (decision.Events is [CreditNoteIssued issued, ..])
            (issued.ReducesDue, issued.ToWallet).ShouldBe((Euro(0), Euro(0)));
    }

    // An invoice of 120.00, of which credit paid some and refunds gave some back already; what a note of line 1 reduces and gives back.
    [Theory]
    [InlineData(12000, 2000, "1:10000", "0/10000")]
    [InlineData(12000, 2001, "1:10000", "credit_note.refunded_before")]
    [InlineData(12000, 12000, "1:1", "credit_note.refunded_before")]
    [InlineData(7000, 7000, "1:5000", "5000/0")]
    [InlineData(7000, 7000, "1:5001", "credit_note.refunded_before")]
    public void What_a_refund_gave_back_is_not_given_back_by_a_note(long paid, long expensed, string asked, string expected)
    {
        var decision = IssueCreditNote.Decide(
            Asked(asked) with { Expensed = Euro(expensed) }, EventStore.Fold.After(Invoice.Initial, Invoiced(paid)));

        (decision.Events is [CreditNoteIssued it, ..] ? $"{it.ReducesDue.MinorUnits}/{it.ToWallet.MinorUnits}" : decision.Refusal!.Code)
            .ShouldBe(expected);
    }

    // What each payment can pay back, of which how much is owed back anyway, the newest first; what each pays back of 70.00.
    [Theory]
    [InlineData("100/0", "70")]
    [InlineData("50/0 50/0", "50 20")]
    [InlineData("50/20 0/0 60/0", "30 40")]
    [InlineData("10/10 70/0", "70")]
    public void The_newest_payment_pays_back_first_and_what_it_owes_anyway_stays_owed(string payments, string expected)
    {
        var known = payments.Split(' ').Select(it => it.Split('/')).Select(it => (
            PaymentId.New(), Payment.Initial with
            {
                Status = PaymentStatus.Succeeded,
                Target = new InvoiceTarget(TheInvoice),
                Refundable = Euro(long.Parse(it[0], null) * 100),
                Owed = Euro(long.Parse(it[1], null) * 100),
            })).ToList();
        var note = CreditNote() with { ToRefund = Euro(70_00) };

        var refunds = RefundCreditNote.Decide(note, known).ToList();

        string.Join(' ', refunds.Select(refund => refund.Amount.MinorUnits / 100)).ShouldBe(expected);
        refunds.ShouldAllBe(refund => refund.CreditNoteId == note.CreditNoteId && refund.FromOwed == Euro(0));
    }

    // Line 1: 100.00 less 25.00 with 14.25 of tax added, 89.25. Line 2: 119.00 with 19.00 in it. Line 3: 50.00, untaxed. Notes one after
    // the other; the tax of each of their lines.
    [Theory]
    [InlineData("1:8925 2:11900 3:5000", "1425,1900,0")]
    [InlineData("1: 2: 3:", "1425,1900,0")]
    [InlineData("1:4463/1:4462", "713/712")]
    [InlineData("1:1/1:1/1:1/1:1/1:1", "0/0/0/1/0")]
    [InlineData("2:3333/2:3333/2:3333/2:", "532/532/532/304")]
    [InlineData("3:1/1:8924/1:", "0/1425/0")]
    public void A_line_is_taken_back_with_its_part_of_its_tax(string notes, string expected)
    {
        var invoice = EventStore.Fold.After(Invoice.Initial, Taxed());
        List<string> taxes = [];
        foreach (var note in notes.Split('/'))
        {
            var issued = (CreditNoteIssued)IssueCreditNote.Decide(Asked(note), invoice).Events[0];
            invoice = Invoice.Evolve(invoice, issued);
            issued.TaxTotal.MinorUnits.ShouldBe(issued.Lines.Sum(line => line.TaxAmount.MinorUnits));
            taxes.Add(string.Join(',', issued.Lines.Select(line => line.TaxAmount.MinorUnits)));
        }

        string.Join('/', taxes).ShouldBe(expected);
    }

    [Fact]
    public void Where_lines_take_back_no_more_tax_is_credited_than_the_invoice_has()
    {
        InvoiceEvent[] history =
        [
            Drafted(), Line(1, cents: 100_00), Line(2, cents: -30_00),
            TaxAdded() with { Rate = 0.07m, TaxableAmount = Euro(100_00), Amount = Euro(7_00), Lines = [new(1, Euro(7_00))] },
            TaxAdded() with { TaxableAmount = Euro(-30_00), Amount = Euro(-5_70), Lines = [new(2, Euro(-5_70))] },
            Finalized(cents: 71_30),
        ];

        var note = (CreditNoteIssued)IssueCreditNote.Decide(Asked("1:7130"), EventStore.Fold.After(Invoice.Initial, history)).Events[0];

        note.TaxTotal.ShouldBe(Euro(1_30));
    }

    [Fact]
    public void Whatever_the_notes_and_their_order_all_of_them_make_up_the_invoice_and_its_tax()
    {
        var line =
            from cents in Gen.Choose(1, 200_00)
            from discount in Gen.Choose(0, 100)
            from rate in Gen.Elements(0m, 0.07m, 0.19m, 0.255m)
            from inclusive in Gen.Elements(true, false)
            select (cents, discount, rate, inclusive);
        var cases = from lines in line.NonEmptyListOf() from seed in Gen.Choose(0, int.MaxValue) select (Lines: lines.ToList(), Seed: seed);

        Check.One(Config.QuickThrowOnFailure.WithMaxTest(300), Prop.ForAll(cases.ToArbitrary(), it =>
        {
            var draft = EventStore.Fold.After(Invoice.Initial, [Drafted(), .. it.Lines.SelectMany((of, index) => Of(index + 1, of))]);
            var invoice = Invoice.Evolve(draft, Finalized() with { Total = draft.Total, Amounts = draft.Amounts });
            var tax = invoice.TaxLeft;
            invoice.Lines.Sum(each => each.Left.MinorUnits).ShouldBe(invoice.Total.MinorUnits);

            var (random, notes) = (new Random(it.Seed), new List<CreditNoteIssued>());
            while (invoice.Lines.Where(each => each.Left.MinorUnits > 0).ToList() is { Count: > 0 } open)
            {
                var asked = open.Where(_ => random.Next(2) == 0).DefaultIfEmpty(open[0]).Select(each => new IssueCreditNote.LineToCredit(
                    each.Number, random.Next(3) == 0 ? null : Euro(random.NextInt64(each.Left.MinorUnits) + 1)));
                var note = (CreditNoteIssued)IssueCreditNote.Decide(Asked("1:") with { Lines = [.. asked] }, invoice).Events[0];
                note.Lines.ShouldAllBe(each => each.TaxAmount >= Euro(0) && each.TaxAmount <= each.Amount);
                invoice = Invoice.Evolve(invoice, note);
                notes.Add(note);
            }

            notes.Sum(note => note.Total.MinorUnits).ShouldBe(invoice.Total.MinorUnits);
            notes.Sum(note => note.TaxTotal.MinorUnits).ShouldBe(tax.MinorUnits);
        }));

        static InvoiceEvent[] Of(int number, (int Cents, int Discount, decimal Rate, bool Inclusive) line)
        {
            var off = Euro(line.Cents * line.Discount / 100);
            var net = Euro(line.Cents) - off;
            var tax = Money.Round(line.Inclusive ? net.Amount * line.Rate / (1 + line.Rate) : net.Amount * line.Rate, Currency.EUR);
            return
            [
                Line(number, line.Cents), DiscountAdded(off.MinorUnits) with { Lines = [new(number, off)] },
                TaxAdded() with { Rate = line.Rate, Inclusive = line.Inclusive, Amount = tax, Lines = [new(number, tax)] },
            ];
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
                .Select(line => new IssueCreditNote.LineToCredit(
                    int.Parse(line[0], null), line[1].Length == 0 ? null : Euro(long.Parse(line[1], null)))),
        ],
        Outcome: null, Refundable: Euro(0), Expensed: Euro(0), "Not as agreed", Noon);

    private static InvoiceEvent[] Taxed() =>
    [
        Drafted(), Line(1), Line(2, cents: 119_00), Line(3, cents: 50_00), DiscountAdded(), TaxAdded(),
        TaxAdded() with { Inclusive = true, TaxableAmount = Euro(100_00), Amount = Euro(19_00), Lines = [new(2, Euro(19_00))] },
        TaxAdded() with { Rate = 0, TaxableAmount = Euro(50_00), Amount = Euro(0), Lines = [new(3, Euro(0))] },
        Finalized(cents: 258_25) with
        {
            Amounts =
            [
                new(LineKind.Usage, Euro(269_00)), new(LineKind.Discount, Euro(-25_00)), new(LineKind.Tax, Euro(33_25)),
                new(LineKind.IncludedTax, Euro(-19_00)),
            ],
        },
    ];

    private static Money Euro(long cents) => new(cents, Currency.EUR);
}
