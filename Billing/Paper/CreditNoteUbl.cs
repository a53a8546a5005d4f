using System.Text;
using System.Xml;
using System.Xml.Linq;
using static Platform.Billing.Paper.InvoiceUbl;

namespace Platform.Billing.Paper;

/// <summary>
/// UBL 2.1 CreditNote (OASIS, ISO/IEC 19845), elements in the order of its schema and amounts by the rules of EN 16931. Each line, without
/// its tax, refers to the line of the invoice that it takes back from; amounts are above zero, as the document's type says in which
/// direction they go.
/// </summary>
public static class CreditNoteUbl
{
    private static readonly XNamespace Ubl = "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2";

    // UN/CEFACT 1001: credit note.
    private const string CreditNote = "381";

    public static byte[] Write(CreditNoteDocument document)
    {
        var (note, invoice) = (document.Note, document.Invoice);
        var xml = new XElement(
            Ubl + "CreditNote",
            new XAttribute(XNamespace.Xmlns + "cac", Cac),
            new XAttribute(XNamespace.Xmlns + "cbc", Cbc),
            new XElement(Cbc + "UBLVersionID", "2.1"),
            new XElement(Cbc + "ID", note.Number),
            new XElement(Cbc + "UUID", note.CreditNoteId),
            new XElement(Cbc + "IssueDate", Date(document.IssueDate)),
            new XElement(Cbc + "CreditNoteTypeCode", CreditNote),
            new XElement(Cbc + "Note", note.Reason),
            new XElement(Cbc + "DocumentCurrencyCode", note.Total.Currency),
            new XElement(
                Cac + "BillingReference",
                new XElement(
                    Cac + "InvoiceDocumentReference",
                    new XElement(Cbc + "ID", note.InvoiceNumber),
                    new XElement(Cbc + "UUID", note.InvoiceId))),
            new XElement(Cac + "AccountingSupplierParty", Party(id: null, document.Issuer, document.IssuerTaxId)),
            new XElement(
                Cac + "AccountingCustomerParty",
                Party(document.Customer.TenantId.ToString(), document.Customer.Name, invoice.CustomerTaxId)),
            TaxTotal(note.TaxTotal, document.Taxes),
            new XElement(
                Cac + "LegalMonetaryTotal",
                Amount("LineExtensionAmount", note.Total - note.TaxTotal),
                Amount("TaxExclusiveAmount", note.Total - note.TaxTotal),
                Amount("TaxInclusiveAmount", note.Total),
                Amount("PayableAmount", note.Total)),
            note.Lines.Select((line, index) => new XElement(
                Cac + "CreditNoteLine",
                new XElement(Cbc + "ID", index + 1),
                Amount("LineExtensionAmount", line.Net),
                new XElement(Cac + "BillingReference", new XElement(Cac + "BillingReferenceLine", new XElement(Cbc + "ID", line.Line))),
                new XElement(
                    Cac + "Item",
                    new XElement(Cbc + "Name", line.Description),
                    invoice.TaxOf(line.Line) is { } tax ? Category("ClassifiedTaxCategory", tax, withReason: false) : null))));

        using var written = new MemoryStream();
        using (var writer = XmlWriter.Create(written, new() { Encoding = new UTF8Encoding(false), Indent = true, NewLineChars = "\n" }))
            xml.Save(writer);
        return written.ToArray();
    }
}
