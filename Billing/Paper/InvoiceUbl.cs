using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Invoices;
using Platform.Billing.Taxes;
using Platform.Contracts;

namespace Platform.Billing.Paper;

/// <summary>
/// UBL 2.1 Invoice (OASIS, ISO/IEC 19845), elements in the order of its schema and amounts by the rules of EN 16931: a line's amount is
/// less its allowances and without tax, and lines, tax and total add up. Lines carry their signs; a line without a single unit price has
/// none here either, since quantity times price would not be its amount, nor has one whose price contains tax.
/// </summary>
public static class InvoiceUbl
{
    private static readonly XNamespace Ubl = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2";
    internal static readonly XNamespace Cac = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
    internal static readonly XNamespace Cbc = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";

    // UN/CEFACT 1001: commercial invoice; 5189: discount; 5153: value added tax.
    private const string CommercialInvoice = "380", Discount = "95", ValueAddedTax = "VAT", OutsideScope = "O";

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
            document.DueDate is { } due ? new XElement(Cbc + "DueDate", Date(due)) : null,
            new XElement(Cbc + "InvoiceTypeCode", CommercialInvoice),
            new XElement(Cbc + "DocumentCurrencyCode", invoice.Total.Currency),
            Period(document, invoice.BillingPeriod.Start, invoice.BillingPeriod.End),
            new XElement(Cac + "AccountingSupplierParty", Party(id: null, document.Issuer, document.IssuerTaxId)),
            new XElement(
                Cac + "AccountingCustomerParty",
                Party(document.Customer.TenantId.ToString(), document.Customer.Name, invoice.CustomerTaxId)),
            TaxTotal(invoice.TaxTotal + invoice.TaxIncluded, invoice.Taxes.Select(tax => (tax, tax.TaxableAmount, tax.Amount))),
            new XElement(
                Cac + "LegalMonetaryTotal",
                Amount("LineExtensionAmount", invoice.Total - invoice.ToWallet - invoice.TaxTotal - invoice.TaxIncluded),
                Amount("TaxExclusiveAmount", invoice.Total - invoice.ToWallet - invoice.TaxTotal - invoice.TaxIncluded),
                Amount("TaxInclusiveAmount", invoice.Total - invoice.ToWallet),
                invoice.CreditApplied == invoice.ToWallet ? null : Amount("PrepaidAmount", invoice.CreditApplied - invoice.ToWallet),
                Amount("PayableAmount", invoice.Total - invoice.CreditApplied)),
            invoice.Lines.Count == 0 ? NoLine(document) : invoice.Lines.Select(line => Line(document, line)));

        using var written = new MemoryStream();
        using (var writer = XmlWriter.Create(written, new() { Encoding = new UTF8Encoding(false), Indent = true, NewLineChars = "\n" }))
            xml.Save(writer);
        return written.ToArray();
    }

    private static XElement Line(InvoiceDocument document, InvoiceView.InvoiceLine line) => new(
        Cac + "InvoiceLine",
        new XElement(Cbc + "ID", line.Number),
        new XElement(Cbc + "InvoicedQuantity", new XAttribute("unitCode", UnitCode(line.Unit)), Decimals.Format(line.Quantity)),
        Amount("LineExtensionAmount", document.Invoice.NetOf(line)),
        Period(document, line.WindowStart, line.WindowEnd),
        document.Invoice.Discounts.SelectMany(discount => discount.Lines
            .Where(part => part.Line == line.Number)
            .Select(part => new XElement(
                Cac + "AllowanceCharge",
                new XElement(Cbc + "ChargeIndicator", "false"),
                new XElement(Cbc + "AllowanceChargeReasonCode", Discount),
                new XElement(Cbc + "AllowanceChargeReason", $"{discount.Description} ({discount.Code})"),
                Amount("Amount", part.Amount)))),
        new XElement(
            Cac + "Item",
            new XElement(Cbc + "Name", line.Description),
            line.Meter is null ? null : new XElement(Cac + "SellersItemIdentification", new XElement(Cbc + "ID", line.Meter)),
            document.Invoice.TaxOf(line) is { } tax ? Category("ClassifiedTaxCategory", tax, withReason: false) : null),
        InvoiceDocument.NetUnitPrice(document.Invoice, line) is not { } each
            ? null
            : new XElement(
                Cac + "Price",
                new XElement(Cbc + "PriceAmount", new XAttribute("currencyID", line.Amount.Currency), Decimals.Format(each))));

    // A plan may charge nothing, but the schema wants a line.
    private static XElement NoLine(InvoiceDocument document) => new(
        Cac + "InvoiceLine",
        new XElement(Cbc + "ID", 1),
        new XElement(Cbc + "InvoicedQuantity", new XAttribute("unitCode", UnitCode("")), 0),
        Amount("LineExtensionAmount", Money.Zero(document.Invoice.Total.Currency)),
        new XElement(Cac + "Item", new XElement(Cbc + "Name", "Nothing to charge")));

    /// <summary>Null where nothing is taxed.</summary>
    internal static XElement? TaxTotal(Money total, IEnumerable<(InvoiceView.InvoiceTax Tax, Money Taxable, Money Amount)> taxes)
    {
        // Added and contained tax of one rate are one subtotal: here both stand without tax.
        var rates = taxes.GroupBy(it => (CategoryId(it.Tax), it.Tax.Rate, it.Tax.Reason)).ToList();
        return rates.Count == 0
            ? null
            : new(
                Cac + "TaxTotal",
                Amount("TaxAmount", total),
                rates.Select(rate => new XElement(
                    Cac + "TaxSubtotal",
                    Amount("TaxableAmount", rate.Select(it => it.Taxable).Aggregate((sum, each) => sum + each)),
                    Amount("TaxAmount", rate.Select(it => it.Amount).Aggregate((sum, each) => sum + each)),
                    Category("TaxCategory", rate.First().Tax, withReason: true))));
    }

    // UN/CEFACT 5305: exempt, reverse charge, outside of the scope of tax, zero rate, standard rate.
    private static string CategoryId(InvoiceView.InvoiceTax tax) => tax switch
    {
        { Treatment: TaxTreatment.Exempt } => "E",
        { Treatment: TaxTreatment.ReverseCharge } => "AE",
        { Reason: not null } => OutsideScope,
        { Rate: 0 } => "Z",
        _ => "S",
    };

    internal static XElement Category(string name, InvoiceView.InvoiceTax tax, bool withReason) => new(
        Cac + name,
        new XElement(Cbc + "ID", CategoryId(tax)),
        CategoryId(tax) == OutsideScope ? null : new XElement(Cbc + "Percent", Decimals.Format(Decimals.Canonical(tax.Rate * 100))),
        withReason && tax.Reason is { } reason ? new XElement(Cbc + "TaxExemptionReason", reason) : null,
        TaxScheme());

    private static XElement TaxScheme() => new(Cac + "TaxScheme", new XElement(Cbc + "ID", ValueAddedTax));

    internal static XElement Party(string? id, string name, string? taxId = null) => new(
        Cac + "Party",
        id is null ? null : new XElement(Cac + "PartyIdentification", new XElement(Cbc + "ID", id)),
        new XElement(Cac + "PartyName", new XElement(Cbc + "Name", name)),
        taxId is null ? null : new XElement(Cac + "PartyTaxScheme", new XElement(Cbc + "CompanyID", taxId), TaxScheme()));

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
