using NodaTime;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes a draft: from here on its total is owed and its lines cannot change. An invoice without lines is finalized too,
/// at zero: it says that nothing was owed for its period, and is paid at once.
/// </summary>
public static class FinalizeInvoice
{
    /// <param name="UsageTree">Over the usage events that the invoice counts.</param>
    /// <param name="CreditApplied">What the wallet pays of it, by grant.</param>
    public sealed record Command(
        string Number, UsageTreeHead UsageTree, PaymentTerms Terms, IReadOnlyList<CreditPart> CreditApplied, Instant At);

    public static Decision<InvoiceEvent> Decide(Command command, Invoice invoice) => invoice.Status switch
    {
        InvoiceStatus.Missing => Refusal.Because("invoice.not_found", "There is no such invoice."),
        InvoiceStatus.Draft when Finalized(command, invoice) is { AmountDue.MinorUnits: 0 } settled => [settled, new InvoicePaid(command.At)],
        InvoiceStatus.Draft => [Finalized(command, invoice)],
        _ => [],
    };

    // A total is never negative: what the lines take back beyond what they charge goes into the wallet.
    private static InvoiceFinalized Finalized(Command command, Invoice invoice)
    {
        var (sum, zero) = (invoice.Total, Money.Zero(invoice.Total.Currency));
        return new(
            command.Number, sum < zero ? zero : sum, invoice.Amounts, command.Terms, command.At, command.UsageTree,
            command.CreditApplied.Count > 0 ? command.CreditApplied : null, sum < zero ? zero - sum : null);
    }
}
