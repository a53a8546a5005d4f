using NodaTime;
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
    public sealed record Command(string Number, UsageTreeHead UsageTree, PaymentTerms Terms, Instant At);

    public static Decision<InvoiceEvent> Decide(Command command, Invoice invoice) => invoice.Status switch
    {
        InvoiceStatus.Missing => Refusal.Because("invoice.not_found", "There is no such invoice."),
        InvoiceStatus.Draft when invoice.Total.MinorUnits == 0 => [Finalized(command, invoice), new InvoicePaid(command.At)],
        InvoiceStatus.Draft => [Finalized(command, invoice)],
        _ => [],
    };

    private static InvoiceFinalized Finalized(Command command, Invoice invoice) =>
        new(command.Number, invoice.Total, invoice.Amounts, command.Terms, command.At, command.UsageTree);
}
