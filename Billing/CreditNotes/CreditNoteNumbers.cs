using Platform.Billing.Invoices;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.CreditNotes;

/// <summary>Numbers without gaps like those of invoices, in a series of their own: <c>CN-2026-000001</c>.</summary>
public static class CreditNoteNumbers
{
    /// <summary>Take it last: other notes of the year wait from here to the commit.</summary>
    public static async Task<string> Next(EventTransaction transaction, int year, CancellationToken cancellation)
    {
        var together = new RoundTrip(transaction.Connection);
        var number = InvoiceNumbers.Next(together, [new(transaction.TenantId)], "credit_note_numbers", prefix: "CN-", year);
        await together.Send(cancellation);
        return number.Value[0];
    }
}
