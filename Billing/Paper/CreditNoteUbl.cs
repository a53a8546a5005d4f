using System.Text;
using System.Xml;
using System.Xml.Linq;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using static Platform.Billing.Paper.InvoiceUbl;

namespace Platform.Billing.Paper;

/// <summary>
/// UBL 2.1 CreditNote (OASIS, ISO/IEC 19845), elements in the order of its schema. Each line refers to the line of the invoice that it takes
/// back from; amounts are above zero, as the document's type says in which direction they go.
/// </summary>
public static class CreditNoteUbl
{
    private static readonly XNamespace Ubl = "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2";

    // UN/CEFACT 1001: credit note.
    private const string CreditNote = "381";

    /// <param name="issuer">Who takes back.</param>
    /// <param name="customer">Who gets it.</param>
    public static byte[] Write(CreditNoteView note, string issuer, TenantView customer)
    {
        var issued = note.IssuedAt.InZone(DateTimeZoneProviders.Tzdb[customer.TimeZone]).Date;
        var xml = new XElement(
            Ubl + "CreditNote",
            new XAttribute(XNamespace.Xmlns + "cac", Cac),
            new XAttribute(XNamespace.Xmlns + "cbc", Cbc),
            new XElement(Cbc + "UBLVersionID", "2.1"),
            new XElement(Cbc + "ID", note.Number),
            new XElement(Cbc + "UUID", note.CreditNoteId),
            new XElement(Cbc + "IssueDate", Date(issued)),
            new XElement(Cbc + "CreditNoteTypeCode", CreditNote),
            new XElement(Cbc + "Note", note.Reason),
            new XElement(Cbc + "DocumentCurrencyCode", note.Total.Currency),
            new XElement(
                Cac + "BillingReference",
                new XElement(
                    Cac + "InvoiceDocumentReference",
                    new XElement(Cbc + "ID", note.InvoiceNumber),
                    new XElement(Cbc + "UUID", note.InvoiceId))),
            new XElement(Cac + "AccountingSupplierParty", Party(id: null, issuer)),
            new XElement(Cac + "AccountingCustomerParty", Party(customer.TenantId.ToString(), customer.Name)),
            new XElement(
                Cac + "LegalMonetaryTotal",
                Amount("LineExtensionAmount", note.Total),
                Amount("TaxExclusiveAmount", note.Total),
                Amount("TaxInclusiveAmount", note.Total),
                Amount("PayableAmount", note.Total)),
            note.Lines.Select((line, index) => new XElement(
                Cac + "CreditNoteLine",
                new XElement(Cbc + "ID", index + 1),
                Amount("LineExtensionAmount", line.Amount),
                new XElement(Cac + "BillingReference", new XElement(Cac + "BillingReferenceLine", new XElement(Cbc + "ID", line.Line))),
                new XElement(Cac + "Item", new XElement(Cbc + "Name", line.Description)))));

        using var written = new MemoryStream();
        using (var writer = XmlWriter.Create(written, new() { Encoding = new UTF8Encoding(false), Indent = true, NewLineChars = "\n" }))
            xml.Save(writer);
        return written.ToArray();
    }

    public static void Map(RouteGroupBuilder creditNotes) => creditNotes.MapGet("/{id}/ubl", Handle)
        .WithName("GetCreditNoteUbl").Produces<byte[]>(contentType: "application/xml");

    private static async Task<Results<FileContentHttpResult, ProblemHttpResult>> Handle(
        CreditNoteId id, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation) =>
        await CreditNoteView.Find(documents, caller.TenantId, id, cancellation) is { } note
        && await TenantView.Find(documents, caller.TenantId, cancellation) is { } customer
            ? TypedResults.File(Write(note, InvoiceDocument.IssuerOf(settings), customer), "application/xml", $"{note.Number}.xml")
            : Problems.NotFound("credit_note");
}
