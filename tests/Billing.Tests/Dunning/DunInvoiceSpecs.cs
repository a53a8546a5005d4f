using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Dunning;

/// <summary>The schedule as a table. Days count from finalization; payment is due on day 14, retry days are 15, 17, 19 and 21.</summary>
public class DunInvoiceSpecs
{
    /// <summary>Each step that is due on a day, in the order in which they come until nothing is due.</summary>
    public static TheoryData<string, string, int[], string[]> Schedules => new()
    {
        {
            "charged at finalization, again on each retry day, then the end", "declined", [0, 14, 15, 17, 19, 21],
            [
                "0 dunned 0, charge", "14 overdue", "15 dunned 1, charge", "17 dunned 2, charge", "19 dunned 3, charge",
                "21 dunned 4, charge", "21 ended",
            ]
        },
        { "a success is the end of it", "succeeded", [0, 14, 30], ["0 dunned 0, charge"] },
        {
            "without a payment method it is dunned alone", "no method", [0, 14, 15, 17, 19, 21],
            ["0 dunned 0", "14 overdue", "15 dunned 1", "17 dunned 2", "19 dunned 3", "21 dunned 4", "21 ended"]
        },
        {
            "with manual collection nothing is charged", "manual", [0, 14, 15, 17, 19, 21],
            ["14 overdue", "15 dunned 1", "17 dunned 2", "19 dunned 3", "21 dunned 4", "21 ended"]
        },
        {
            "days in between have nothing", "declined", [0, 1, 13, 14, 16, 18],
            ["0 dunned 0, charge", "14 overdue", "16 dunned 1, charge", "18 dunned 2, charge"]
        },
        {
            "missed retry days are one step", "declined", [20, 21],
            ["20 dunned 0, charge", "20 overdue", "20 dunned 3, charge", "21 dunned 4, charge", "21 ended"]
        },
        {
            "all of them missed is one step and the end", "declined", [100],
            ["100 dunned 0, charge", "100 overdue", "100 dunned 4, charge", "100 ended"]
        },
        { "while a charge is open nothing happens", "pending", [0, 14, 15, 21, 100], ["0 dunned 0, charge"] },
    };

    [Theory]
    [MemberData(nameof(Schedules))]
    public void Each_step_comes_on_its_day(string rule, string behaviour, int[] days, string[] expected)
    {
        var invoice = Owed(DueInTwoWeeks(behaviour == "manual" ? CollectionMethod.Manual : CollectionMethod.Automatic));

        Walk(invoice, behaviour, days).ToArray().ShouldBe(expected, rule);
    }

    [Fact]
    public void Without_retry_days_the_end_follows_at_once() =>
        Walk(Owed(DueInTwoWeeks() with { RetryDays = [] }), "declined", [0, 14]).ShouldBe(["0 dunned 0, charge", "14 overdue", "14 ended"]);

    [Fact]
    public void What_is_due_at_once_is_charged_before_it_is_overdue() =>
        Walk(Owed(DueInTwoWeeks() with { DueAt = FirstOfFebruary }), "succeeded", [0, 1]).ShouldBe(["0 dunned 0, charge"]);

    [Theory]
    [InlineData(InvoiceStatus.Paid)]
    [InlineData(InvoiceStatus.Void)]
    [InlineData(InvoiceStatus.Uncollectible)]
    public void Nobody_is_dunned_for_what_is_settled_or_given_up(InvoiceStatus status)
    {
        SettlementEvent end = status switch
        {
            InvoiceStatus.Paid => new InvoicePaid(FirstOfFebruary),
            InvoiceStatus.Void => new InvoiceVoided(new(100_00, Currency.EUR), [], "Wrong", FirstOfFebruary),
            _ => new InvoiceMarkedUncollectible(new(100_00, Currency.EUR), "Insolvent", FirstOfFebruary),
        };

        Walk(Fold.After<Invoice, InvoiceEvent>(Owed(DueInTwoWeeks()), [end]), "declined", [0, 14, 15, 100]).ShouldBeEmpty();
    }

    [Fact]
    public void An_open_charge_is_asked_after_less_and_less_often()
    {
        var (now, asked) = (FirstOfFebruary, new List<double>());
        for (var i = 0; i < 12; i++)
        {
            var next = ChargePayment.NextCheck(FirstOfFebruary, now);
            asked.Add((next - now).TotalMinutes);
            now = next;
        }

        asked.ShouldBe([10, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440]);
    }

    /// <summary>Whether dunning ended, whether others keep it suspended, whether it is, what becomes of it.</summary>
    [Theory]
    [InlineData("overdue", false, false, null)]
    [InlineData("ended", false, false, "suspended")]
    [InlineData("ended", false, true, null)]
    [InlineData("ended, paid", false, true, "reinstated")]
    [InlineData("ended, void", false, true, "reinstated")]
    [InlineData("ended, paid", true, true, null)]
    [InlineData("ended, given up", false, true, null)]
    [InlineData("paid", false, true, null)]
    [InlineData("ended, paid", false, false, null)]
    public void A_tenant_is_suspended_while_dunning_of_any_invoice_ended_in_vain(
        string invoice, bool othersUnpaid, bool suspended, string? expected)
    {
        var history = invoice.Split(", ").Select(what => (SettlementEvent)(what switch
        {
            "overdue" => new InvoiceOverdue(FirstOfMarch, FirstOfMarch),
            "ended" => new InvoiceDunningEnded(FirstOfMarch),
            "paid" => new InvoicePaid(FirstOfMarch),
            "void" => new InvoiceVoided(new(100_00, Currency.EUR), [], "Wrong", FirstOfMarch),
            _ => new InvoiceMarkedUncollectible(new(100_00, Currency.EUR), "Insolvent", FirstOfMarch),
        }));
        TenantEvent[] tenant = suspended ? [TenantRegistered(), new TenantSuspended(TheInvoice, Noon)] : [TenantRegistered()];

        var events = TenantStanding.Decide(
            TheInvoice, Fold.After<Invoice, InvoiceEvent>(Owed(DueInTwoWeeks()), history), othersUnpaid, FirstOfMarch,
            Fold.After<Tenant, TenantEvent>(Tenant.Initial, tenant)).Events;

        TenantEvent[] change = expected switch
        {
            "suspended" => [new TenantSuspended(TheInvoice, FirstOfMarch)],
            "reinstated" => [new TenantReinstated(FirstOfMarch)],
            _ => [],
        };
        events.ShouldBe(change);
    }

    private static Invoice Owed(PaymentTerms terms) =>
        Fold.After<Invoice, InvoiceEvent>(Invoice.Initial, [Drafted(), Line(), Finalized() with { Terms = terms }]);

    private static List<string> Walk(Invoice invoice, string behaviour, int[] days)
    {
        var taken = new List<string>();
        foreach (var day in days)
        {
            var now = FirstOfFebruary + Duration.FromDays(day);
            PaymentMethodId? method = behaviour == "no method" ? null : ThePaymentMethod;
            while (DunInvoice.Decide(new(now, TheTenant, TheInvoice, method, ThePayment, now), invoice) is { } step)
            {
                taken.Add($"{day} {step.Events[0] switch
                {
                    InvoiceDunned it => $"dunned {it.Step}",
                    InvoiceOverdue => "overdue",
                    InvoiceDunningEnded => "ended",
                    var other => other.ToString(),
                }}{(step.Payment is null ? "" : ", charge")}");
                invoice = Fold.After<Invoice, InvoiceEvent>(invoice, step.Events);
                if (step.Payment is not null)
                    invoice = Fold.After<Invoice, InvoiceEvent>(invoice, Outcome(behaviour, now));
            }
        }

        return taken;
    }

    private static SettlementEvent[] Outcome(string behaviour, Instant now) => behaviour switch
    {
        "declined" => [new InvoicePaymentDeclined(ThePayment, "insufficient_funds", now)],
        "succeeded" => [new InvoicePaymentApplied(ThePayment, new(100_00, Currency.EUR), now), new InvoicePaid(now)],
        _ => [],
    };
}
