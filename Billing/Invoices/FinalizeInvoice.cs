using NodaTime;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes a draft: from here on its total is owed and its lines cannot change. An invoice without lines is finalized too,
/// at zero: it says that nothing was owed for its period.
/// </summary>
public static class FinalizeInvoice
{
    /// <param name="UsageTree">Over the usage events that the invoice counts.</param>
    public sealed record Command(string Number, UsageTreeHead UsageTree, Instant At);

    public static Decision<InvoiceEvent> Decide(Command command, Invoice invoice) => invoice.Status switch
    {
        InvoiceStatus.Missing => Refusal.Because("invoice.not_found", "There is no such invoice."),
        InvoiceStatus.Finalized => [],
        _ => [new InvoiceFinalized(command.Number, invoice.Total, invoice.Amounts, command.At, command.UsageTree)],
    };
}
