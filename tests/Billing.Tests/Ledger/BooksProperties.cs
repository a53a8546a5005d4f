using FsCheck;
using FsCheck.Fluent;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Ledger;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Ledger;

/// <summary>Whatever happens to an invoice and its payments, in whatever order: the books say what these say.</summary>
public class BooksProperties
{
    [Fact]
    public void Every_posting_sums_to_zero_and_every_balance_is_what_the_invoice_says() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll<PositiveInt, int, int[]>((fee, late, steps) =>
        {
            var life = new Life(fee.Get % 500_00, late % 100_00);
            foreach (var step in steps)
                life.Try(step);

            var entries = life.Events.Where(it => Postings.Sources.Contains(it.GetType()))
                .Select(Postings.Of).Where(posting => posting is not null)
                .Select(posting => posting!.Entries).ToList();
            entries.ShouldAllBe(posting => posting.Sum(entry => entry.Amount.MinorUnits) == 0);

            var (invoice, settlement) = (life.Invoice, life.Invoice.Settlement!);
            var (givenUp, isVoid) = (invoice.Status == InvoiceStatus.Uncollectible, invoice.Status == InvoiceStatus.Void);
            var notes = life.Events.OfType<CreditNoteIssued>().ToList();
            Balance(Account.Receivable).ShouldBe(givenUp ? 0 : settlement.AmountDue.MinorUnits);
            Balance(Account.BadDebt).ShouldBe(givenUp ? settlement.AmountDue.MinorUnits : 0);
            Balance(Account.TaxPayable).ShouldBe(isVoid ? 0 : -invoice.TaxLeft.MinorUnits);
            (Balance(Account.Revenue) + Balance(Account.TaxPayable)).ShouldBe(isVoid ? 0 : -invoice.Creditable.MinorUnits);
            Balance(Account.Wallet).ShouldBe(-notes.Sum(note => note.ToWallet.MinorUnits));

            var payments = life.Payments.Values;
            var refunds = payments.SelectMany(payment => payment.Refunds)
                .ToLookup(refund => refund.Status, refund => refund.Amount.MinorUnits);
            Balance(Account.Cash).ShouldBe(payments.Sum(payment => payment.Amount.MinorUnits) - refunds[RefundStatus.Succeeded].Sum());
            Balance(Account.RefundsPayable).ShouldBe(-payments.Sum(payment => payment.Owed.MinorUnits) - refunds[RefundStatus.Pending].Sum());
            payments.ShouldAllBe(payment => payment.Owed <= payment.Refundable);
            Balance(Account.RefundExpense).ShouldBe(life.Expensed.MinorUnits);
            // Nothing is given back twice.
            (life.Expensed.MinorUnits + notes.Sum(note => (note.ToWallet + note.ToRefund).MinorUnits))
                .ShouldBeLessThanOrEqualTo(life.Events.OfType<InvoicePaymentApplied>().Sum(paid => paid.Amount.MinorUnits));
            (settlement.AmountDue.MinorUnits == 0).ShouldBe(invoice.Status is InvoiceStatus.Paid or InvoiceStatus.Void);

            long Balance(Account account) => entries.SelectMany(posting => posting)
                .Where(entry => entry.Account == account).Sum(entry => entry.Amount.MinorUnits);
        }));

    /// <summary>A finalized and taxed invoice and what people then try with it; what a rule refuses does not happen.</summary>
    private sealed class Life
    {
        private static readonly CreditNoteOutcome?[] outcomes = [null, .. Enum.GetValues<CreditNoteOutcome>()];

        public Life(int feeCents, int lateCents)
        {
            var late = Math.Max(lateCents, -feeCents);      // a total is never negative
            var (feeTax, lateTax) = (Tax(feeCents), Tax(late));
            InvoiceEvent[] draft =
            [
                Drafted(), Line(1, feeCents) with { Kind = LineKind.RecurringFee }, Line(2, late) with { Kind = LineKind.LateUsage },
                TaxAdded() with
                {
                    TaxableAmount = Euro(feeCents + late), Amount = feeTax + lateTax, Lines = [new(1, feeTax), new(2, lateTax)],
                },
            ];
            Invoice = Fold.After(Invoice.Initial, draft);
            Happen(FinalizeInvoice.Decide(
                new("2026-000042", new(0, new('a', 64)), DueInTwoWeeks(), CreditApplied: [], FirstOfFebruary), Invoice).Events);

            static Money Tax(int cents) => Money.Round(cents * 0.0019m, Currency.EUR);
        }

        public Invoice Invoice { get; private set; }

        public List<object> Events { get; } = [];

        public Dictionary<PaymentId, Payment> Payments { get; } = [];

        public void Try(int step)
        {
            var seed = Math.Abs((long)step);
            var amount = Euro((seed % 200_00) + 1);
            switch (seed % 9)
            {
                case 0 or 1 when RecordPayment.Refuse(amount, Invoice) is null:
                    Receive(amount);
                    break;
                case 2:
                    // A charge that succeeds after all: no rule can refuse money that has moved.
                    Receive(amount);
                    break;
                case 3:
                    Happen(WriteOffInvoice.Decide("Insolvent", FirstOfMarch, Invoice).Events);
                    break;
                case 4:
                    Happen(VoidInvoice.Decide("Wrong customer", FirstOfMarch, Invoice).Events);
                    break;
                case 5 or 6:
                    Credit(amount, outcomes[seed / 9 % outcomes.Length]);
                    break;
                case 7 when Payments.Keys.FirstOrDefault(id => Payments[id].Refundable.MinorUnits > 0) is var payment && payment != default:
                    Money? asked = seed / 9 % 2 == 0 ? null : amount;
                    var notOwed = Invoice.Creditable - Invoice.Settlement!.AmountDue - Expensed;
                    Refund(RefundPayment.Decide(
                        new(RefundId.New(), payment, asked, notOwed, "Goodwill", FirstOfMarch), Payments[payment]));
                    break;
                case 8 when Payments.SelectMany(it => it.Value.Refunds, (it, refund) => (it.Key, refund.RefundId)).LastOrDefault() is var last
                    && last != default:
                    var answer = seed / 9 % 2 == 0 ? new GatewayAnswer(ChargeOutcome.Succeeded) : new(ChargeOutcome.Declined, "account_closed");
                    Happen(last.Key, MakeRefund.Conclude(last.RefundId, answer, FirstOfMarch, Payments[last.Key]).Events);
                    break;
            }
        }

        /// <summary>What refunds gave back of the invoice at the operator's expense.</summary>
        public Money Expensed => RefundCreditNote.Expensed(Payments.Select(it => (it.Key, it.Value)), Currency.EUR);

        private void Receive(Money amount)
        {
            var id = PaymentId.New();
            var application = ApplyPayment.Decide(id, TheInvoice, amount, FirstOfMarch, Invoice);
            Payments[id] = Payment.Evolve(Payment.Initial, PaymentRequested(amount.MinorUnits));
            Happen(id, [application.Payment]);
            Happen(application.Invoice);
        }

        private void Credit(Money amount, CreditNoteOutcome? outcome)
        {
            var payments = Payments.Select(it => (it.Key, it.Value)).ToList();
            var issued = IssueCreditNote.Decide(
                new(
                    CreditNoteId.New(), "CN-2026-000001", TheInvoice, [new(1, amount)], outcome,
                    RefundCreditNote.Refundable(payments, Currency.EUR), Expensed, "Not as agreed", FirstOfMarch),
                Invoice).Events;
            Happen(issued);
            if (issued is not [CreditNoteIssued note, ..])
                return;

            if (note.ToWallet.MinorUnits > 0)
                Events.Add(Granted() with { Amount = note.ToWallet, Kind = CreditKind.Adjustment });
            foreach (var refund in RefundCreditNote.Decide(note, payments).ToList())
                Happen(refund.PaymentId, [refund]);
        }

        private void Refund(Decision<PaymentEvent> decided)
        {
            if (decided.Events is [RefundRequested refund])
                Happen(refund.PaymentId, [refund]);
        }

        private void Happen(PaymentId id, IReadOnlyList<PaymentEvent> happened)
        {
            Events.AddRange(happened);
            Payments[id] = Fold.After(Payments[id], happened);
        }

        private void Happen(IReadOnlyList<InvoiceEvent> happened)
        {
            Events.AddRange(happened);
            Invoice = Fold.After(Invoice, happened);
        }

        private static Money Euro(long cents) => new(cents, Currency.EUR);
    }
}
