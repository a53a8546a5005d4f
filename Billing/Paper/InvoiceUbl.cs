using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Contracts;

namespace Platform.Billing.Paper;

/// <summary>
/// UBL 2.1 Invoice (OASIS, ISO/IEC 19845), elements in the order of its schema. Lines carry their signs; a line without a single unit
/// price has none here either, since quantity times price would not be its amount.
/// </summary>
public static class InvoiceUbl
{
    private static readonly XNamespace Ubl = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
    internal static readonly XNamespace Cac = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
    internal static readonly XNamespace Cbc = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";

    // UN/CEFACT 1001: commercial invoice.
    private const string CommercialInvoice = "380";

    public static byte[] Write(InvoiceDocument document)
    {
        var invoice = document.Invoice;
        var xml = new XElement(
            Ubl + "Invoice",
            new XAttribute(XNamespace.Xmlns + "cac", Cac),
            new XAttribute(XNamespace.Xmlns + "cbc", Cbc),
            new XElement(Cbc + "UBLVersionID", "2.1"),
            new XElement(Cbc + "ID", invoice.Number),
            new XElement(Cbc + "UUID", invoice.InvoiceId),
            new XElement(Cbc + "IssueDate", Date(document.IssueDate)),
            new XElement(Cbc + "InvoiceTypeCode", CommercialInvoice),
            new XElement(Cbc + "DocumentCurrencyCode", invoice.Total.Currency),
            Period(document, invoice.BillingPeriod.Start, invoice.BillingPeriod.End),
            new XElement(Cac + "AccountingSupplierParty", Party(id: null, document.Issuer)),
            new XElement(Cac + "AccountingCustomerParty", Party(document.Customer.TenantId.ToString(), document.Customer.Name)),
            new XElement(
                Cac + "LegalMonetaryTotal",
                Amount("LineExtensionAmount", invoice.Subtotal),
                Amount("TaxExclusiveAmount", invoice.Subtotal),
                Amount("TaxInclusiveAmount", invoice.Total - invoice.ToWallet),
                invoice.CreditApplied == invoice.ToWallet ? null : Amount("PrepaidAmount", invoice.CreditApplied - invoice.ToWallet),
                Amount("PayableAmount", invoice.Total - invoice.CreditApplied)),
            invoice.Lines.Select(line => Line(document, line)));

        using var written = new MemoryStream();
        using (var writer = XmlWriter.Create(written, new() { Encoding = new UTF8Encoding(false), Indent = true, NewLineChars = "\n" }))
            xml.Save(writer);
        return written.ToArray();
    }

    private static XElement Line(InvoiceDocument document, InvoiceView.InvoiceLine line) => new(
        Cac + "InvoiceLine",
        new XElement(Cbc + "ID", line.Number),
        new XElement(Cbc + "InvoicedQuantity", new XAttribute("unitCode", UnitCode(line.Unit)), Decimals.Format(line.Quantity)),
        Amount("LineExtensionAmount", line.Amount),
        Period(document, line.WindowStart, line.WindowEnd),
        new XElement(
            Cac + "Item",
            new XElement(Cbc + "Name", line.Description),
            line.Meter is null ? null : new XElement(Cac + "SellersItemIdentification", new XElement(Cbc + "ID", line.Meter))),
        line.UnitAmount is not { } each
            ? null
            : new XElement(
                Cac + "Price",
                new XElement(Cbc + "PriceAmount", new XAttribute("currencyID", line.Amount.Currency), Decimals.Format(each))));

    internal static XElement Party(string? id, string name) => new(
        Cac + "Party",
        id is null ? null : new XElement(Cac + "PartyIdentification", new XElement(Cbc + "ID", id)),
        new XElement(Cac + "PartyName", new XElement(Cbc + "Name", name)));

    private static XElement Period(InvoiceDocument document, Instant start, Instant end)
    {
        var (first, last) = document.Days(start, end);
        return new(Cac + "InvoicePeriod", new XElement(Cbc + "StartDate", Date(first)), new XElement(Cbc + "EndDate", Date(last)));
    }

    internal static XElement Amount(string name, Money money) => new(
        Cbc + name, new XAttribute("currencyID", money.Currency),
        money.Amount.ToString($"F{money.Currency.Exponent}", CultureInfo.InvariantCulture));

    internal static string Date(LocalDate date) => LocalDatePattern.Iso.Format(date);

    // UNECE Recommendation 20; C62, "one", is what it prescribes for units that it does not list.
    private static string UnitCode(string unit) => unit switch
    {
        "millisecond" => "C26",
        "second" => "SEC",
        "hour" => "HUR",
        "day" => "DAY",
        "byte" => "AD",
        "joule" => "JOU",
        _ => "C62",
    };
}
