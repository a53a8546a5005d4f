using Platform.Billing.Invoices;
using Platform.EventStore;

namespace Platform.Billing.CreditNotes;

/// <summary>Numbers without gaps like those of invoices, in a series of their own: <c>CN-2026-000001</c>.</summary>
public static class CreditNoteNumbers
{
    /// <summary>Take it last: other notes of the year wait from here to the commit.</summary>
    public static Task<string> Next(EventTransaction transaction, int year, CancellationToken cancellation) =>
        InvoiceNumbers.Next(transaction, "credit_note_numbers", prefix: "CN-", year, cancellation);
}
