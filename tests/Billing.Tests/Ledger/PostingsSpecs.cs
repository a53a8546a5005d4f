using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Ledger;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Wallets;
using Platform.Contracts;
using static Platform.Billing.Ledger.Account;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Ledger;

/// <summary>What each financial event means for the accounts, in cents: above zero a debit, below zero a credit.</summary>
public class PostingsSpecs
{
    public static TheoryData<string, object, (Account, LineKind?, long)[]> Rules => new()
    {
        {
            "an invoice is owed and earned", Invoiced((LineKind.RecurringFee, 31_00), (LineKind.Usage, 12_50)),
            [(Receivable, null, 43_50), (Account.Revenue, LineKind.RecurringFee, -31_00), (Account.Revenue, LineKind.Usage, -12_50)]
        },
        {
            "what late usage takes back is earned no more", Invoiced((LineKind.RecurringFee, 31_00), (LineKind.LateUsage, -1_00)),
            [(Receivable, null, 30_00), (Account.Revenue, LineKind.RecurringFee, -31_00), (Account.Revenue, LineKind.LateUsage, 1_00)]
        },
        {
            "what is taken back beyond what is charged is owed to the tenant",
            Invoiced((LineKind.Usage, 2_00), (LineKind.LateUsage, -50_00)) with { Total = Euro(0), ToWallet = Euro(48_00) },
            [(Receivable, null, -48_00), (Account.Revenue, LineKind.Usage, -2_00), (Account.Revenue, LineKind.LateUsage, 50_00)]
        },
        {
            "a credit note takes back what was earned, and its tax from the authorities", CreditNote() with { At = FirstOfFebruary },
            [
                (Account.Revenue, LineKind.RecurringFee, 10_00), (Account.Revenue, LineKind.Usage, 2_50), (TaxPayable, LineKind.Tax, 1_90),
                (Receivable, null, -14_40),
            ]
        },
        {
            "a void takes back what the invoice moved",
            new InvoiceVoided(
                Euro(30_00), [new(LineKind.RecurringFee, Euro(31_00)), new(LineKind.LateUsage, Euro(-1_00))], "Wrong customer",
                FirstOfFebruary),
            [(Receivable, null, -30_00), (Account.Revenue, LineKind.RecurringFee, 31_00), (Account.Revenue, LineKind.LateUsage, -1_00)]
        },
        {
            "what is given up is bad debt", new InvoiceMarkedUncollectible(Euro(60_00), "Insolvent", FirstOfFebruary),
            [(BadDebt, null, 60_00), (Receivable, null, -60_00)]
        },
        {
            "what is paid of it after all is owed again first", new InvoiceWriteOffReversed(Euro(10_00), FirstOfFebruary),
            [(Receivable, null, 10_00), (BadDebt, null, -10_00)]
        },
        { "a payment is owed no more", Received(100_00, applied: 100_00), [(Cash, null, 100_00), (Receivable, null, -100_00)] },
        {
            "what is received beyond what is due is to be paid back", Received(100_00, applied: 40_00),
            [(Cash, null, 100_00), (Receivable, null, -40_00), (RefundsPayable, null, -60_00)]
        },
        {
            "a discount is not earned, and tax is owed to the authorities",
            Invoiced((LineKind.Usage, 100_00), (LineKind.Discount, -25_00), (LineKind.Tax, 14_25)),
            [(Receivable, null, 89_25), (Account.Revenue, LineKind.Usage, -100_00), (Account.Revenue, LineKind.Discount, 25_00), (TaxPayable, LineKind.Tax, -14_25)]
        },
        {
            "tax that prices contain is owed to the authorities and not earned",
            Invoiced((LineKind.Usage, 119_00), (LineKind.Tax, 19_00), (LineKind.IncludedTax, -19_00)),
            [(Receivable, null, 119_00), (Account.Revenue, LineKind.Usage, -119_00), (TaxPayable, LineKind.Tax, -19_00), (Account.Revenue, LineKind.IncludedTax, 19_00)]
        },
        { "a line of zero moves nothing", Invoiced((LineKind.Usage, 0), (LineKind.RecurringFee, 31_00)),
            [(Receivable, null, 31_00), (Account.Revenue, LineKind.RecurringFee, -31_00)] },
        {
            "a top-up is received and becomes credit", Received(50_00, applied: 50_00) with { Target = new TopUpTarget(Automatic: false) },
            [(Cash, null, 50_00), (Account.Wallet, null, -50_00)]
        },
        {
            "a refund of what was owed back moves nothing until the money does", new RefundSucceeded(TheRefund, Euro(30_00), FirstOfFebruary),
            [(RefundsPayable, null, 30_00), (Cash, null, -30_00)]
        },
        {
            "what is paid back beyond that is an expense", RefundAsked() with { At = FirstOfFebruary },
            [(RefundExpense, null, 20_00), (RefundsPayable, null, -20_00)]
        },
        {
            "what a credit note took back is owed back", RefundAsked(fromOwed: 0) with { At = FirstOfFebruary, CreditNoteId = TheCreditNote },
            [(Receivable, null, 30_00), (RefundsPayable, null, -30_00)]
        },
        {
            "credit that is paid back is owed back", RefundAsked() with { At = FirstOfFebruary, Target = new TopUpTarget(Automatic: true) },
            [(Account.Wallet, null, 20_00), (RefundsPayable, null, -20_00)]
        },
        { "prepaid credit was received", Given(CreditKind.Prepaid), [(Cash, null, 50_00), (Account.Wallet, null, -50_00)] },
        { "a gift is an expense", Given(CreditKind.Promotional), [(PromotionExpense, null, 50_00), (Account.Wallet, null, -50_00)] },
        { "what an invoice owes the tenant becomes credit", Given(CreditKind.Adjustment), [(Receivable, null, 50_00), (Account.Wallet, null, -50_00)] },
        { "credit pays an invoice", Consumed(cents: 20_00), [(Account.Wallet, null, 20_00), (Receivable, null, -20_00)] },
        { "prepaid credit that expires is earned", Gone(CreditKind.Prepaid), [(Account.Wallet, null, 5_00), (BreakageRevenue, null, -5_00)] },
        { "a gift that expires cost nothing", Gone(CreditKind.Promotional), [(Account.Wallet, null, 5_00), (PromotionExpense, null, -5_00)] },
        { "a gift that is voided cost nothing", Void(CreditKind.Promotional), [(Account.Wallet, null, 5_00), (PromotionExpense, null, -5_00)] },
        { "prepaid credit that is voided was not received", Void(CreditKind.Prepaid), [(Account.Wallet, null, 5_00), (Cash, null, -5_00)] },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void Every_financial_event_is_one_posting(string rule, object @event, (Account, LineKind?, long)[] expected)
    {
        var posting = Postings.Of(@event).ShouldNotBeNull(rule);

        posting.Entries.Select(entry => (entry.Account, entry.Kind, entry.Amount.MinorUnits)).ShouldBe(expected, rule);
        posting.At.ShouldBe(FirstOfFebruary);
    }

    [Fact]
    public void The_credit_of_a_top_up_is_posted_by_its_payment() =>
        Postings.Of(Given(CreditKind.Prepaid) with { SourcePaymentId = ThePayment }).ShouldBeNull();

    [Fact]
    public void A_refund_of_what_was_owed_back_alone_moves_nothing_yet() =>
        Postings.Of(RefundAsked(cents: 10_00, fromOwed: 10_00)).ShouldBeNull();

    [Fact]
    public void An_invoice_of_zero_moves_nothing() => Postings.Of(Invoiced((LineKind.Usage, 0))).ShouldBeNull();

    [Fact]
    public void Every_source_of_a_posting_has_a_rule_and_nothing_else_has()
    {
        Rules.Select(row => row.Data.Item2.GetType()).Distinct().ShouldBe(Postings.Sources, ignoreOrder: true);
        Should.Throw<System.Diagnostics.UnreachableException>(() => Postings.Of(Drafted()));
    }

    [Fact]
    public void Every_kind_of_line_has_an_account()
    {
        foreach (var kind in Enum.GetValues<LineKind>())
            Enum.IsDefined(Postings.AccountOf(kind)).ShouldBeTrue(kind.ToString());
    }

    [Fact]
    public void A_posting_that_does_not_balance_is_a_bug_in_every_currency_by_itself()
    {
        Unbalanced(Entry.Debit(Receivable, Euro(1_00)));
        Unbalanced(Entry.Debit(Receivable, Euro(1_00)), Entry.Credit(Account.Revenue, Euro(99)));
        Unbalanced(Entry.Debit(Receivable, Euro(1_00)), Entry.Credit(Account.Revenue, new(1_00, Currency.USD)));
        Unbalanced(Entry.Debit(Receivable, Euro(1_00)), Entry.Credit(Account.Revenue, Euro(-1_00)));
        Posting.Balanced(Noon, Entry.Debit(Receivable, Euro(1_00)), Entry.Credit(Account.Revenue, Euro(1_00)))!.Entries.Count.ShouldBe(2);
        // An invoice whose lines do not make up its total never reaches the books.
        Should.Throw<InvalidOperationException>(() => Postings.Of(Finalized(cents: 1_00) with { Amounts = [] }));

        static void Unbalanced(params Entry[] entries) =>
            Should.Throw<InvalidOperationException>(() => Posting.Balanced(Noon, entries));
    }

    private static Money Euro(long cents) => new(cents, Currency.EUR);

    private static PaymentSucceeded Received(long cents, long applied) =>
        new(new InvoiceTarget(TheInvoice), Euro(cents), Euro(applied), Euro(cents - applied), FirstOfFebruary);

    private static CreditGranted Given(CreditKind kind) => Granted() with { Kind = kind, At = FirstOfFebruary };

    private static CreditExpired Gone(CreditKind kind) => Expired(cents: 5_00) with { Kind = kind, At = FirstOfFebruary };

    private static CreditVoided Void(CreditKind kind) => Voided(cents: 5_00) with { Kind = kind, At = FirstOfFebruary };

    private static InvoiceFinalized Invoiced(params (LineKind Kind, long Cents)[] amounts) =>
        Finalized(amounts.Sum(amount => amount.Cents)) with
        {
            Amounts = [.. amounts.Select(amount => new InvoicedAmount(amount.Kind, Euro(amount.Cents)))],
        };
}
