using FsCheck;
using FsCheck.Fluent;
using Platform.Billing.Invoices;
using Platform.Billing.Ledger;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Ledger;

/// <summary>Whatever happens to an invoice, in whatever order: the books say what the invoice says.</summary>
public class BooksProperties
{
    [Fact]
    public void Every_posting_sums_to_zero_and_every_balance_is_what_the_invoice_says() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(500),
        Prop.ForAll<PositiveInt, int, int[]>((fee, late, steps) =>
        {
            var history = Live(fee.Get % 500_00, late % 100_00, steps);

            var entries = history.Events.Where(it => Postings.Sources.Contains(it.GetType()))
                .Select(Postings.Of).Where(posting => posting is not null)
                .Select(posting => posting!.Entries).ToList();
            entries.ShouldAllBe(posting => posting.Sum(entry => entry.Amount.MinorUnits) == 0);

            var settlement = history.Invoice.Settlement!;
            var givenUp = history.Invoice.Status == InvoiceStatus.Uncollectible;
            Balance(Account.Receivable).ShouldBe(givenUp ? 0 : settlement.AmountDue.MinorUnits);
            Balance(Account.BadDebt).ShouldBe(givenUp ? settlement.AmountDue.MinorUnits : 0);
            Balance(Account.Cash).ShouldBe(history.ReceivedCents);
            Balance(Account.RefundsPayable).ShouldBe(settlement.AmountPaid.MinorUnits - history.ReceivedCents);
            Balance(Account.Revenue).ShouldBe(history.Invoice.Status == InvoiceStatus.Void ? 0 : -history.Invoice.Total.MinorUnits);
            (settlement.AmountDue.MinorUnits == 0).ShouldBe(history.Invoice.Status is InvoiceStatus.Paid or InvoiceStatus.Void);

            long Balance(Account account) => entries.SelectMany(posting => posting)
                .Where(entry => entry.Account == account).Sum(entry => entry.Amount.MinorUnits);
        }));

    private sealed record Lived(Invoice Invoice, IReadOnlyList<object> Events, long ReceivedCents);

    /// <summary>A finalized invoice and what people then try with it; what a rule refuses does not happen.</summary>
    private static Lived Live(int feeCents, int lateCents, int[] steps)
    {
        var late = Math.Max(lateCents, -feeCents);      // a total is never negative
        InvoiceEvent[] draft =
        [
            Drafted(), Line(1, feeCents) with { Kind = LineKind.RecurringFee }, Line(2, late) with { Kind = LineKind.LateUsage },
        ];
        var invoice = Fold.After(Invoice.Initial, draft);
        var (events, received) = (new List<object>(), 0L);
        Happen(FinalizeInvoice.Decide(new("2026-000042", new(0, new('a', 64)), DueInTwoWeeks(), CreditApplied: [], FirstOfFebruary), invoice).Events);

        foreach (var step in steps)
        {
            var amount = new Money((Math.Abs((long)step) % 200_00) + 1, Currency.EUR);
            switch (Math.Abs((long)step) % 5)
            {
                case 0 or 1 when RecordPayment.Refuse(amount, invoice) is null:
                    Receive(amount);
                    break;
                case 2:
                    // A charge that succeeds after all: no rule can refuse money that has moved.
                    Receive(amount);
                    break;
                case 3:
                    Happen(WriteOffInvoice.Decide("Insolvent", FirstOfMarch, invoice).Events);
                    break;
                case 4:
                    Happen(VoidInvoice.Decide("Wrong customer", FirstOfMarch, invoice).Events);
                    break;
            }
        }

        return new(invoice, events, received);

        void Receive(Money amount)
        {
            var application = ApplyPayment.Decide(PaymentId.New(), TheInvoice, amount, FirstOfMarch, invoice);
            events.Add(application.Payment);
            Happen(application.Invoice);
            received += amount.MinorUnits;
        }

        void Happen(IReadOnlyList<InvoiceEvent> happened)
        {
            events.AddRange(happened);
            invoice = Fold.After(invoice, happened);
        }
    }
}
