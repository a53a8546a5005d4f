using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Ledger;
using Platform.Billing.Payments;
using Platform.Contracts;
using Platform.EventStore;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Payments;

public class RefundSpecs
{
    // A payment of 100.00 of which so much was excess, refunds before as cents and how they ended (s, f, p), and what is asked for: what
    // is refunded of it and how much of that was owed back, or the refusal.
    [Theory]
    [InlineData(0, "", 40_00L, "4000/0")]
    [InlineData(0, "", 100_00L, "10000/0")]
    [InlineData(0, "", 100_01L, "refund.exceeds_payment")]
    [InlineData(0, "", null, "10000/0")]
    // what is owed back goes first
    [InlineData(30_00, "", 20_00L, "2000/2000")]
    [InlineData(30_00, "", 40_00L, "4000/3000")]
    [InlineData(30_00, "2000s", 40_00L, "4000/1000")]
    // what is paid back or about to be is gone
    [InlineData(0, "6000s", 40_01L, "refund.exceeds_payment")]
    [InlineData(0, "6000p", 40_01L, "refund.exceeds_payment")]
    [InlineData(0, "6000s 4000p", null, "refund.nothing_left")]
    // what could not be paid back is owed back
    [InlineData(0, "6000f", null, "10000/6000")]
    [InlineData(30_00, "6000f", 70_00L, "7000/6000")]
    public void A_refund_pays_back_no_more_than_is_left(long excess, string before, long? asked, string expected)
    {
        var payment = Received(excess);
        foreach (var (cents, end) in before.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(it => (long.Parse(it[..^1], null), it[^1])))
        {
            var refund = RefundId.New();
            payment = Fold.After(payment, RefundPayment.Decide(Asked(cents) with { RefundId = refund }, payment).Events);
            payment = Fold.After(payment, MakeRefund.Conclude(refund, Says(end), Noon, payment).Events);
        }

        var decision = RefundPayment.Decide(Asked(asked), payment);

        (decision.Events is [RefundRequested it] ? $"{it.Amount.MinorUnits}/{it.FromOwed.MinorUnits}" : decision.Refusal!.Code).ShouldBe(expected);
    }

    // Of a top-up of 100.00, what of its credit is unused, and what was owed back before.
    [Theory]
    [InlineData(100_00, null, "10000/0")]
    [InlineData(60_00, null, "6000/0")]
    [InlineData(60_00, 60_01L, "refund.exceeds_payment")]
    [InlineData(0, null, "refund.nothing_left")]
    public void Of_a_top_up_only_unused_credit_is_paid_back(long unused, long? asked, string expected)
    {
        var payment = Received(excess: 0, new TopUpTarget(Automatic: false));

        var decision = RefundPayment.Decide(Asked(asked) with { NotOwed = Euro(unused) }, payment);

        (decision.Events is [RefundRequested it] ? $"{it.Amount.MinorUnits}/{it.FromOwed.MinorUnits}" : decision.Refusal!.Code).ShouldBe(expected);
    }

    // Of a payment of 100.00 of which so much was excess, what was paid for its invoice and not given back, and what is asked for.
    [Theory]
    [InlineData(0, 40_00, 40_00L, "4000/0")]
    [InlineData(0, 40_00, null, "4000/0")]
    [InlineData(0, 40_00, 40_01L, "refund.given_back")]
    [InlineData(0, 0, 1L, "refund.given_back")]
    [InlineData(0, 0, null, "refund.nothing_left")]
    // the excess was never the invoice's
    [InlineData(30_00, 40_00, null, "7000/3000")]
    [InlineData(30_00, 0, 30_00L, "3000/3000")]
    [InlineData(30_00, 70_00, 100_01L, "refund.exceeds_payment")]
    public void Of_an_invoice_no_more_is_paid_back_than_was_paid_for_it_and_not_given_back(long excess, long notOwed, long? asked, string expected)
    {
        var decision = RefundPayment.Decide(Asked(asked) with { NotOwed = Euro(notOwed) }, Received(excess));

        (decision.Events is [RefundRequested it] ? $"{it.Amount.MinorUnits}/{it.FromOwed.MinorUnits}" : decision.Refusal!.Code).ShouldBe(expected);
    }

    [Fact]
    public void Only_what_a_gateway_brought_is_paid_back_by_it_and_once()
    {
        var requested = RefundPayment.Decide(Asked(10_00), Received(0));
        RefundPayment.Decide(Asked(10_00), Fold.After(Received(0), requested.Events)).ShouldBeEmpty();

        Code(Payment.Initial).ShouldBe("payment.not_found");
        Code(Fold.After(Payment.Initial, [PaymentRequested()])).ShouldBe("payment.not_received");
        Code(Fold.After<Payment, PaymentEvent>(Payment.Initial, [PaymentRequested(), new PaymentDeclined("c", Noon)])).ShouldBe("payment.not_received");
        Code(Received(0) with { PaymentMethodId = null }).ShouldBe("payment.not_by_gateway");
        RefundPayment.Decide(Asked(0) with { Amount = new(1, Currency.USD) }, Received(0)).Refusal!.Code.ShouldBe("payment.currency_mismatch");

        static string? Code(Payment payment) => RefundPayment.Decide(Asked(10_00), payment).Refusal?.Code;
    }

    [Fact]
    public void Whatever_the_gateway_says_how_often_the_books_say_what_was_paid_back()
    {
        var step = from cents in Gen.Choose(1, 60_00) from told in Gen.ListOf(Gen.Elements('s', 'f', 'p')) select (cents, told.ToList());
        var cases = from excess in Gen.Choose(0, 100_00) from steps in step.ListOf() select (Excess: excess, Steps: steps.ToList());

        Check.One(Config.QuickThrowOnFailure.WithMaxTest(300), Prop.ForAll(cases.ToArbitrary(), it =>
        {
            PaymentEvent[] received =
            [
                PaymentRequested(), new PaymentSucceeded(
                    new InvoiceTarget(TheInvoice), Euro(100_00), Applied: Euro(100_00 - it.Excess), Excess: Euro(it.Excess), Noon),
            ];
            var (payment, events) = (Fold.After(Payment.Initial, received), new List<PaymentEvent> { received[1] });
            foreach (var (cents, told) in it.Steps)
            {
                var refund = RefundId.New();
                Happen(RefundPayment.Decide(Asked(cents) with { RefundId = refund }, payment));
                foreach (var end in told)
                    Happen(MakeRefund.Conclude(refund, Says(end), Noon, payment));
            }

            var entries = events.Where(@event => Postings.Sources.Contains(@event.GetType()))
                .Select(Postings.Of).OfType<Posting>().SelectMany(posting => posting.Entries).ToList();
            var paidBack = payment.Refunds.Where(refund => refund.Status is RefundStatus.Succeeded).Sum(refund => refund.Amount.MinorUnits);
            var pending = payment.Refunds.Where(refund => refund.Status is RefundStatus.Pending).Sum(refund => refund.Amount.MinorUnits);
            Balance(Account.Cash).ShouldBe(100_00 - paidBack);
            Balance(Account.RefundsPayable).ShouldBe(-payment.Owed.MinorUnits - pending);
            payment.Refundable.MinorUnits.ShouldBe(100_00 - paidBack - pending);
            Balance(Account.RefundExpense).ShouldBe(payment.Expensed.MinorUnits);

            long Balance(Account account) => entries.Where(entry => entry.Account == account).Sum(entry => entry.Amount.MinorUnits);

            void Happen(Decision<PaymentEvent> decision)
            {
                events.AddRange(decision.Events);
                payment = Fold.After(payment, decision.Events);
            }
        }));
    }

    private static Payment Received(long excess, PaymentTarget? target = null) => Fold.After<Payment, PaymentEvent>(
        Payment.Initial,
        [
            PaymentRequested() with { Target = target ?? new InvoiceTarget(TheInvoice) },
            new PaymentSucceeded(
                target ?? new InvoiceTarget(TheInvoice), Euro(100_00), Applied: Euro(100_00 - excess), Excess: Euro(excess), Noon),
        ]);

    private static RefundPayment.Command Asked(long? cents) =>
        new(TheRefund, ThePayment, cents is { } it ? Euro(it) : null, NotOwed: Euro(100_00), "Not as agreed", Noon);

    private static GatewayAnswer Says(char end) => end switch
    {
        's' => new(ChargeOutcome.Succeeded),
        'f' => new(ChargeOutcome.Declined, "account_closed"),
        _ => new(ChargeOutcome.Pending),
    };

    private static Money Euro(long cents) => new(cents, Currency.EUR);
}
