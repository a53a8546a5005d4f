using System.Text.Json;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Invoices;

using InvoiceSpec = Spec<Invoice, InvoiceEvent>;

public class InvoiceSpecs
{
    private static readonly UsageTreeHead Tree = new(Size: 17, new('a', 64));
    private static readonly FinalizeInvoice.Command Finalize = new("2026-000042", Tree, DueInTwoWeeks(), CreditApplied: [], FirstOfFebruary);

    [Fact]
    public void A_draft_is_finalized_at_the_sum_of_its_lines() =>
        InvoiceSpec.Given(Drafted(), Line(1, cents: 12_50), Line(2, cents: 7_50))
            .When(invoice => FinalizeInvoice.Decide(Finalize, invoice))
            .Then(Finalized(cents: 20_00, Tree));

    [Fact]
    public void What_the_lines_take_back_beyond_what_they_charge_is_no_negative_total() =>
        InvoiceSpec.Given(Drafted(), Line(1, cents: 12_50), Line(2, cents: -20_00))
            .When(invoice => FinalizeInvoice.Decide(Finalize, invoice))
            .Then(
                Finalized(cents: 0, Tree) with
                {
                    Amounts = [new(LineKind.Usage, new(-7_50, Currency.EUR))],
                    ToWallet = new(7_50, Currency.EUR),
                },
                new InvoicePaid(FirstOfFebruary));

    [Fact]
    public void What_credit_pays_is_due_no_more()
    {
        IReadOnlyList<CreditPart> credit = [new(TheGrant, CreditKind.Prepaid, new(5_00, Currency.EUR))];
        InvoiceSpec.Given(Drafted(), Line(1, cents: 12_50))
            .When(invoice => FinalizeInvoice.Decide(Finalize with { CreditApplied = credit }, invoice))
            .Then(Finalized(cents: 12_50, Tree) with { CreditApplied = credit });
        (Finalized(cents: 12_50) with { CreditApplied = credit }).AmountDue.ShouldBe(new(7_50, Currency.EUR));
    }

    [Fact]
    public void A_period_in_which_nothing_was_owed_is_finalized_at_zero_and_paid() =>
        InvoiceSpec.Given(Drafted())
            .When(invoice => FinalizeInvoice.Decide(Finalize, invoice))
            .Then(Finalized(cents: 0, Tree), new InvoicePaid(FirstOfFebruary));

    [Fact]
    public void Finalizing_twice_changes_nothing() =>
        InvoiceSpec.Given(Drafted(), Line(), Finalized())
            .When(invoice => FinalizeInvoice.Decide(Finalize, invoice))
            .ThenNothing();

    [Fact]
    public void An_invoice_that_was_never_drafted_is_refused() =>
        InvoiceSpec.Given()
            .When(invoice => FinalizeInvoice.Decide(Finalize, invoice))
            .ThenRefused("invoice.not_found");

    [Fact]
    public void A_period_is_drafted_with_one_line_per_rated_line() =>
        InvoiceSpec.Given()
            .When(invoice => DraftInvoice.Decide(
                new(
                    TheInvoice, TheTenant,
                    new(
                        [
                            new(
                                TheSubscription,
                                EventStore.Fold.After(Billing.Subscriptions.Subscription.Initial, [Started()]),
                                new(FirstOfJanuary, FirstOfFebruary)),
                        ],
                        Currency.EUR,
                        [
                            new(
                                LineKind.Usage, "GPU time", "gpu-time", 40_000_000m, "millisecond", 0.0000025m,
                                new(100_00, Currency.EUR), new(FirstOfJanuary, FirstOfFebruary), Breakdown: null, TheSubscription,
                                new(ThePlan, PlanVersion: 1, FirstOfJanuary, End: null, Monthly)),
                        ],
                        Discounts: [], Taxes: [], new([], Through: 17)),
                    FirstOfFebruary),
                invoice))
            .Then(Drafted(), Line());

    [Fact]
    public void Discounts_lower_the_total_and_tax_is_added_to_it_or_contained_in_it() =>
        InvoiceSpec.Given(
                Drafted(), Line(1, cents: 100_00), Line(2, cents: 119_00), DiscountAdded(), TaxAdded(),
                TaxAdded() with { Inclusive = true, TaxableAmount = Euro(100_00), Lines = [new(2, Euro(19_00))], Amount = Euro(19_00) })
            .When(invoice => FinalizeInvoice.Decide(Finalize, invoice))
            .Then(Finalized(cents: 208_25, Tree) with
            {
                Amounts =
                [
                    new(LineKind.Usage, Euro(219_00)), new(LineKind.Discount, Euro(-25_00)), new(LineKind.Tax, Euro(33_25)),
                    new(LineKind.IncludedTax, Euro(-19_00)),
                ],
            });

    [Fact]
    public void A_discounted_and_taxed_invoice_reads_as_approved()
    {
        InvoiceEvent[] history = [Drafted(), Line(1, cents: 100_00), Line(2, cents: 50), DiscountAdded(), TaxAdded()];

        var view = history.Aggregate((InvoiceView?)null, InvoiceView.Fold);

        Approve.Text(Pretty.Json(JsonSerializer.SerializeToUtf8Bytes(view!, Stored.Json<InvoiceView>())) + "\n", "taxed-invoice.json");
    }

    [Fact]
    public void A_finalized_invoice_reads_as_approved()
    {
        InvoiceEvent[] history =
        [
            Drafted(),
            Line(1, cents: 1_234_56),
            Line(2, cents: 65_44) with { Kind = LineKind.LateUsage, Description = "GPU time, reported late" },
            Finalized(cents: 1_300_00, Tree),
        ];

        var view = history.Aggregate((InvoiceView?)null, InvoiceView.Fold);

        Approve.Text(Pretty.Json(JsonSerializer.SerializeToUtf8Bytes(view!, Stored.Json<InvoiceView>())) + "\n", "finalized-invoice.json");
    }

    private static Money Euro(long cents) => new(cents, Currency.EUR);
}
