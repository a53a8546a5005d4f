using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Invoices;

using InvoiceSpec = Spec<Invoice, InvoiceEvent>;

/// <summary>What can be done with an invoice that is owed, and what not.</summary>
public class SettlementSpecs
{
    private static readonly InvoiceEvent[] owed = [Drafted(), Line(), Finalized()];
    private static readonly InvoiceEvent[] overdue = [.. owed, new InvoiceOverdue(FirstOfMarch, FirstOfMarch)];
    private static readonly InvoiceEvent[] charging = [.. owed, ChargeRequested()];
    private static readonly InvoiceEvent[] partlyPaid = [.. owed, Applied(40_00)];
    private static readonly InvoiceEvent[] paid = [.. owed, Applied(100_00), new InvoicePaid(FirstOfMarch)];
    private static readonly InvoiceEvent[] givenUp = [.. overdue, new InvoiceMarkedUncollectible(Euro(100_00), "Insolvent", FirstOfMarch)];
    private static readonly InvoiceEvent[] voided = [.. owed, new InvoiceVoided(Euro(100_00), [], "Wrong", FirstOfMarch)];
    private static readonly InvoiceEvent[] withCredit =
        [Drafted(), Line(), Finalized() with { CreditApplied = [new(TheGrant, Billing.Wallets.CreditKind.Prepaid, new(10_00, Currency.EUR))] }];

    /// <summary>One line per state and deed: null where it is done, empty where it was done before.</summary>
    public static TheoryData<string, string, InvoiceEvent[], string?> Deeds => new()
    {
        { "missing", "void", [], "invoice.not_found" },
        { "draft", "void", [Drafted(), Line()], "invoice.not_finalized" },
        { "owed", "void", owed, null },
        { "overdue", "void", overdue, null },
        { "charging", "void", charging, "invoice.payment_in_progress" },
        { "partly paid", "void", partlyPaid, "invoice.partly_paid" },
        { "paid", "void", paid, "invoice.paid" },
        { "given up", "void", givenUp, "invoice.uncollectible" },
        { "void", "void", voided, "" },
        { "with credit", "void", withCredit, "invoice.moves_credit" },
        { "missing", "write off", [], "invoice.not_found" },
        { "draft", "write off", [Drafted(), Line()], "invoice.not_finalized" },
        { "owed", "write off", owed, null },
        { "overdue", "write off", overdue, null },
        { "charging", "write off", charging, "invoice.payment_in_progress" },
        { "partly paid", "write off", partlyPaid, null },
        { "paid", "write off", paid, "invoice.paid" },
        { "given up", "write off", givenUp, "" },
        { "void", "write off", voided, "invoice.void" },
    };

    [Theory]
    [MemberData(nameof(Deeds))]
    public void What_can_be_done_depends_on_the_status(string state, string deed, InvoiceEvent[] history, string? refusal)
    {
        var spec = InvoiceSpec.Given(history).When(invoice => deed == "void"
            ? VoidInvoice.Decide("Wrong", FirstOfMarch, invoice)
            : WriteOffInvoice.Decide("Insolvent", FirstOfMarch, invoice));

        if (refusal is { Length: > 0 })
            spec.ThenRefused(refusal);
        else if (refusal is "")
            spec.ThenNothing();
        else if (deed == "void")
            spec.Then(new InvoiceVoided(Euro(100_00), [new(LineKind.Usage, Euro(100_00))], "Wrong", FirstOfMarch));
        else
            spec.Then(new InvoiceMarkedUncollectible(Euro(state == "partly paid" ? 60_00 : 100_00), "Insolvent", FirstOfMarch));
    }

    /// <summary>Bank transfers: the state, the amount and the refusal.</summary>
    public static TheoryData<string, InvoiceEvent[], Money, string?> Transfers => new()
    {
        { "part of it", owed, Euro(40_00), null },
        { "all of it", owed, Euro(100_00), null },
        { "more than it", owed, Euro(100_01), "payment.exceeds_amount_due" },
        { "the rest", partlyPaid, Euro(60_00), null },
        { "more than the rest", partlyPaid, Euro(60_01), "payment.exceeds_amount_due" },
        { "in another currency", owed, new(40_00, Currency.USD), "payment.currency_mismatch" },
        { "past due", overdue, Euro(100_00), null },
        { "given up", givenUp, Euro(100_00), null },
        { "during a charge", charging, Euro(40_00), "invoice.payment_in_progress" },
        { "paid", paid, Euro(1), "invoice.paid" },
        { "void", voided, Euro(1), "invoice.void" },
        { "a draft", [Drafted(), Line()], Euro(1), "invoice.not_finalized" },
        { "nowhere", [], Euro(1), "invoice.not_found" },
    };

    [Theory]
    [MemberData(nameof(Transfers))]
    public void A_bank_transfer_pays_what_is_due_and_no_more(string state, InvoiceEvent[] history, Money amount, string? refusal) =>
        (RecordPayment.Refuse(amount, After(history))?.Code).ShouldBe(refusal, state);

    /// <summary>What a payment of 50.00 does: the events of the invoice, and what is to be paid back.</summary>
    public static TheoryData<string, InvoiceEvent[], string[], long> Payments => new()
    {
        { "part", owed, ["applied 50.00"], 0 },
        { "the rest", [.. owed, Applied(50_00)], ["applied 50.00", "paid"], 0 },
        { "more than the rest", [.. owed, Applied(90_00)], ["applied 10.00", "paid"], 40_00 },
        { "part of what was given up", givenUp, ["reversed 50.00", "applied 50.00"], 0 },
        { "the rest of what was given up", [.. givenUp, Applied(50_00)], ["reversed 50.00", "applied 50.00", "paid"], 0 },
        { "paid already", paid, ["applied 0.00"], 50_00 },
        { "void", voided, ["applied 0.00"], 50_00 },
    };

    [Theory]
    [MemberData(nameof(Payments))]
    public void Money_pays_what_is_due_and_the_rest_is_owed_back(string state, InvoiceEvent[] history, string[] expected, long excessCents)
    {
        var application = ApplyPayment.Decide(ThePayment, TheInvoice, Euro(50_00), FirstOfMarch, After(history));

        application.Invoice.Select(it => it switch
        {
            InvoicePaymentApplied applied => $"applied {applied.Amount.Amount}",
            InvoiceWriteOffReversed reversed => $"reversed {reversed.Amount.Amount}",
            InvoicePaid => "paid",
            _ => it.ToString(),
        }).ShouldBe(expected, state);
        application.Payment.Excess.ShouldBe(Euro(excessCents));
        application.Payment.Applied.ShouldBe(Euro(50_00 - excessCents));
    }

    [Fact]
    public void The_outcome_of_an_earlier_charge_leaves_a_later_one_open()
    {
        var later = PaymentId.New();
        InvoiceEvent[] history =
        [
            .. charging, new InvoicePaymentDeclined(ThePayment, "declined", FirstOfMarch), ChargeRequested() with { PaymentId = later },
            Applied(40_00),
        ];

        (After(history).Settlement!.Payment?.PaymentId).ShouldBe(later);
    }

    [Theory]
    // settings' days, zone, finalized at, due at: calendar days in the tenant's zone, over a change of its clocks
    [InlineData(14, "Etc/UTC", "2026-02-01T00:00:00Z", "2026-02-15T00:00:00Z")]
    [InlineData(0, "Etc/UTC", "2026-02-01T00:00:00Z", "2026-02-01T00:00:00Z")]
    [InlineData(14, "Europe/Berlin", "2026-03-20T11:00:00Z", "2026-04-03T10:00:00Z")]
    [InlineData(14, "Europe/Berlin", "2026-10-20T10:00:00Z", "2026-11-03T11:00:00Z")]
    [InlineData(30, "Pacific/Kiritimati", "2026-01-31T10:00:00Z", "2026-03-02T10:00:00Z")]
    public void Payment_is_due_so_many_days_later_at_the_same_local_time(int days, string zone, string finalized, string due) =>
        PaymentTerms.Of(BillingSettings.Default with { PaymentTermsDays = days }, zone, At(finalized)).DueAt.ShouldBe(At(due));

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).Value;

    private static Invoice After(InvoiceEvent[] history) => EventStore.Fold.After(Invoice.Initial, history);

    private static Money Euro(long cents) => new(cents, Currency.EUR);

    private static InvoicePaymentApplied Applied(long cents) =>
        new(new(Guid.Parse("0198c0de-0000-7000-8000-000000000099")), Euro(cents), FirstOfMarch);
}
