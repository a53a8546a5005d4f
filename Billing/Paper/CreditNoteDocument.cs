using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Paper;

/// <summary>A credit note with the names that stand on its paper, as PDF for people and as UBL for other books.</summary>
/// <param name="Invoice">What is taken back from; it says by which rates its lines are taxed.</param>
/// <param name="Issuer">Who takes back.</param>
/// <param name="Customer">Who gets it.</param>
/// <param name="IssuerTaxId">Under which the issuer pays the tax; null where it has none.</param>
public sealed record CreditNoteDocument(
    CreditNoteView Note, InvoiceView Invoice, string Issuer, TenantView Customer, string? IssuerTaxId = null)
{
    public LocalDate IssueDate => Note.IssuedAt.InZone(DateTimeZoneProviders.Tzdb[Invoice.BillingPeriod.TimeZone]).Date;

    /// <summary>What is taken back without tax and of tax, by the invoice's taxes; lines that are not taxed are left out.</summary>
    public IEnumerable<(InvoiceView.InvoiceTax Tax, Money Taxable, Money Amount)> Taxes =>
        from tax in Invoice.Taxes
        let lines = Note.Lines.Where(line => Invoice.TaxOf(line.Line) == tax).ToList()
        where lines.Count > 0
        select (tax, Sum(lines, line => line.Net), Sum(lines, line => line.TaxAmount));

    public static void Map(RouteGroupBuilder creditNotes)
    {
        creditNotes.MapGet("/{id}/pdf", (CreditNoteId id, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation) =>
                Answer(id, caller, documents, settings, "application/pdf", "pdf", CreditNotePdf.Write, cancellation))
            .WithName("GetCreditNotePdf").Produces<byte[]>(contentType: "application/pdf");
        creditNotes.MapGet("/{id}/ubl", (CreditNoteId id, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation) =>
                Answer(id, caller, documents, settings, "application/xml", "xml", CreditNoteUbl.Write, cancellation))
            .WithName("GetCreditNoteUbl").Produces<byte[]>(contentType: "application/xml");
    }

    private static async Task<Results<FileContentHttpResult, ProblemHttpResult>> Answer(
        CreditNoteId id, Caller caller, Documents documents, IConfiguration settings, string contentType, string extension,
        Func<CreditNoteDocument, byte[]> write, CancellationToken cancellation)
    {
        if (await CreditNoteView.Find(documents, caller.TenantId, id, cancellation) is not { } note
            || await InvoiceView.Find(documents, caller.TenantId, note.InvoiceId, cancellation) is not { } invoice
            || await TenantView.Find(documents, caller.TenantId, cancellation) is not { } customer)
        {
            return Problems.NotFound("credit_note");
        }

        var document = new CreditNoteDocument(note, invoice, InvoiceDocument.IssuerOf(settings), customer, settings["Issuer:TaxId"]);
        return TypedResults.File(write(document), contentType, $"{note.Number}.{extension}");
    }

    private static Money Sum(IEnumerable<CreditedLine> lines, Func<CreditedLine, Money> amount) =>
        lines.Select(amount).Aggregate((sum, each) => sum + each);
}
