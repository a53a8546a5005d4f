using System.Text;
using System.Xml.Linq;
using NodaTime;
using PdfSharp.Pdf.IO;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Paper;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Paper;

public class InvoiceDocumentSpecs(BillingHost billing)
{
    private static readonly XNamespace cac = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2";
    private static readonly XNamespace cbc = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2";

    [Fact]
    public void An_invoice_is_UBL_as_approved() =>
        Approve.Text(Encoding.UTF8.GetString(InvoiceUbl.Write(Document(lines: 2))) + "\n", "invoice.ubl.xml");

    [Fact]
    public void Discounts_and_tax_are_UBL_as_approved() =>
        Approve.Text(Encoding.UTF8.GetString(InvoiceUbl.Write(Taxed())) + "\n", "taxed-invoice.ubl.xml");

    // The sequences of UBL 2.1 as far as we use them: ! stands where an element must be, + where it may be more than once.
    private static readonly Dictionary<string, string> sequences = new()
    {
        ["Invoice"] = "UBLVersionID ID! UUID IssueDate! DueDate InvoiceTypeCode DocumentCurrencyCode InvoicePeriod+ AccountingSupplierParty! "
            + "AccountingCustomerParty! TaxTotal+ LegalMonetaryTotal! InvoiceLine!+",
        ["CreditNote"] = "UBLVersionID ID! UUID IssueDate! CreditNoteTypeCode Note+ DocumentCurrencyCode BillingReference+ "
            + "AccountingSupplierParty! AccountingCustomerParty! TaxTotal+ LegalMonetaryTotal! CreditNoteLine!+",
        ["InvoicePeriod"] = "StartDate EndDate",
        ["AccountingSupplierParty"] = "Party",
        ["AccountingCustomerParty"] = "Party",
        ["Party"] = "PartyIdentification+ PartyName+ PartyTaxScheme+",
        ["PartyIdentification"] = "ID!",
        ["PartyName"] = "Name!",
        ["PartyTaxScheme"] = "CompanyID TaxScheme!",
        ["TaxScheme"] = "ID",
        ["TaxTotal"] = "TaxAmount! TaxSubtotal+",
        ["TaxSubtotal"] = "TaxableAmount TaxAmount! TaxCategory!",
        ["TaxCategory"] = "ID Percent TaxExemptionReason+ TaxScheme!",
        ["ClassifiedTaxCategory"] = "ID Percent TaxScheme!",
        ["LegalMonetaryTotal"] = "LineExtensionAmount TaxExclusiveAmount TaxInclusiveAmount PrepaidAmount PayableAmount!",
        ["InvoiceLine"] = "ID! InvoicedQuantity LineExtensionAmount! InvoicePeriod+ AllowanceCharge+ Item! Price",
        ["CreditNoteLine"] = "ID! LineExtensionAmount BillingReference+ Item",
        ["AllowanceCharge"] = "ChargeIndicator! AllowanceChargeReasonCode AllowanceChargeReason+ Amount!",
        ["Item"] = "Name SellersItemIdentification ClassifiedTaxCategory+",
        ["SellersItemIdentification"] = "ID!",
        ["Price"] = "PriceAmount!",
        ["BillingReference"] = "InvoiceDocumentReference BillingReferenceLine+",
        ["InvoiceDocumentReference"] = "ID! UUID",
        ["BillingReferenceLine"] = "ID!",
    };

    public static TheoryData<string, byte[]> Documents => new()
    {
        { "an invoice", InvoiceUbl.Write(Document(lines: 2)) },
        { "an invoice without lines", InvoiceUbl.Write(Document(lines: 0)) },
        { "a taxed and discounted invoice", InvoiceUbl.Write(Taxed()) },
        { "a credit note", CreditNoteUbl.Write(Credited(lines: 3)) },
    };

    [Theory]
    [MemberData(nameof(Documents), DisableDiscoveryEnumeration = true)]
    public void Elements_are_there_as_often_and_in_the_order_that_the_schema_says(string what, byte[] document)
    {
        foreach (var parent in XElement.Load(new MemoryStream(document)).DescendantsAndSelf().Where(it => it.HasElements))
        {
            sequences.ShouldContainKey(parent.Name.LocalName, what);
            var sequence = sequences[parent.Name.LocalName].Split(' ');
            var (names, found) = (sequence.Select(it => it.TrimEnd('!', '+')).ToList(), parent.Elements().Select(it => it.Name.LocalName).ToList());

            found.ShouldBeSubsetOf(names, $"{what}: {parent.Name.LocalName}");
            found.Select(name => names.IndexOf(name)).ShouldBeInOrder(SortDirection.Ascending, $"{what}: {parent.Name.LocalName}");
            foreach (var (name, rule) in names.Zip(sequence))
            {
                var count = found.Count(it => it == name);
                count.ShouldBeInRange(rule.Contains('!') ? 1 : 0, rule.EndsWith('+') ? int.MaxValue : 1, $"{what}: {parent.Name.LocalName}/{name}");
            }
        }
    }

    [Fact]
    public void The_UBL_of_a_taxed_invoice_adds_up()
    {
        var ubl = XElement.Load(new MemoryStream(InvoiceUbl.Write(Taxed())));
        var total = ubl.Element(cac + "LegalMonetaryTotal")!;
        var tax = ubl.Element(cac + "TaxTotal")!;

        ubl.Elements(cac + "InvoiceLine").Sum(line => (decimal)line.Element(cbc + "LineExtensionAmount")!)
            .ShouldBe((decimal)total.Element(cbc + "LineExtensionAmount")!);
        tax.Elements(cac + "TaxSubtotal").Sum(rate => (decimal)rate.Element(cbc + "TaxableAmount")!)
            .ShouldBe((decimal)total.Element(cbc + "TaxExclusiveAmount")!);
        tax.Elements(cac + "TaxSubtotal").Sum(rate => (decimal)rate.Element(cbc + "TaxAmount")!)
            .ShouldBe((decimal)tax.Element(cbc + "TaxAmount")!);
        ((decimal)total.Element(cbc + "TaxExclusiveAmount")! + (decimal)tax.Element(cbc + "TaxAmount")!)
            .ShouldBe((decimal)total.Element(cbc + "TaxInclusiveAmount")!);
        ((decimal)total.Element(cbc + "PayableAmount")!).ShouldBe(Taxed().Invoice.Total.Amount);
    }

    [Fact]
    public void The_PDF_has_room_for_discounts_and_tax()
    {
        using var pdf = PdfReader.Open(new MemoryStream(InvoicePdf.Write(Taxed())), PdfDocumentOpenMode.Import);

        pdf.PageCount.ShouldBe(1);
    }

    [Theory]
    // quantity, unit amount, amount in cents -> unit price
    [InlineData("110", "0.05", 5_50, "0.05")]
    [InlineData("110", "0.05", 5_00, null)]
    [InlineData("0.3", "0.05", 2, "0.05")]
    [InlineData("1", null, 31_00, null)]
    public void A_unit_price_stands_where_times_the_quantity_it_is_the_amount(string quantity, string? each, long cents, string? price)
    {
        var line = Line(cents: cents) with { Quantity = Exact(quantity), UnitAmount = each is null ? null : Exact(each) };
        var document = Document([Drafted(), line]);
        var expected = price is null ? (decimal?)null : Exact(price);

        InvoiceDocument.UnitPrice(document.Invoice.Lines[0]).ShouldBe(expected);
        ((decimal?)XElement.Load(new MemoryStream(InvoiceUbl.Write(document))).Descendants(cbc + "PriceAmount").SingleOrDefault())
            .ShouldBe(expected);
    }

    [Fact]
    public void Payment_is_in_time_until_the_last_day_before_it_is_due()
    {
        var document = Document(lines: 1);
        var due = Instant.FromUtc(2026, 2, 15, 0, 0);

        (document with { Invoice = document.Invoice with { DueAt = due } }).DueDate.ShouldBe(new LocalDate(2026, 2, 14));
        (document with { Invoice = document.Invoice with { DueAt = due + Duration.FromSeconds(1) } }).DueDate.ShouldBe(new LocalDate(2026, 2, 15));
        (document with { Invoice = document.Invoice with { CreditApplied = document.Invoice.Total } }).DueDate.ShouldBeNull();
    }

    public static TheoryData<RatingStep, string> Steps => new()
    {
        { new() { Step = StepKind.Tier, Tier = 1, Quantity = 10, UnitAmount = 10, FlatAmount = 2, Amount = 102 }, "Tier 1: 10 × 10 + 2" },
        { new() { Step = StepKind.Tier, Tier = 2, Quantity = 200, Rate = 0.013m, Amount = 2.6m }, "Tier 2: 200 × 1.3 %" },
        { new() { Step = StepKind.Units, Quantity = 1000, UnitAmount = 0.05m, Amount = 50 }, "1,000 × 0.05" },
        { new() { Step = StepKind.Units, Band = "08:00-20:00", Quantity = 3, UnitAmount = 2, Amount = 6 }, "(08:00-20:00): 3 × 2" },
        { new() { Step = StepKind.Free, Quantity = 10, Amount = 0 }, "Free: 10" },
        { new() { Step = StepKind.Event, Events = 12, Quantity = 1000, Rate = 0.013m, FlatAmount = 0.25m, Amount = 16 }, "1,000 × 1.3 % + 12 × 0.25" },
        { new() { Step = StepKind.EventMinimum, Events = 1000, Quantity = 7, FlatAmount = 0.5m, Amount = 500 }, "At the minimum: 1,000 × 0.5" },
        { new() { Step = StepKind.EventMaximum, Events = 1, Quantity = 7000, FlatAmount = 5, Amount = 5 }, "At the maximum: 5" },
        { new() { Step = StepKind.Event, Events = 3, Quantity = 4.5m, UnitAmount = 2, Amount = 9 }, "4.5 × 2" },
        { new() { Step = StepKind.OtherEvents, Events = 1234, Quantity = 2000, Amount = 70 }, "At other prices: 1,234 events" },
        { new() { Step = StepKind.Unpriced, Events = 3, Amount = 0 }, "Without a price: 3 events" },
        { new() { Step = StepKind.Overage, Quantity = 3, UnitAmount = 1, OverageFactor = 1.5m, Amount = 4.5m }, "Above the commitment: 3 × 1 × 1.5" },
        { new() { Step = StepKind.Minimum, Amount = 4 }, "Minimum" },
        { new() { Step = StepKind.AlreadyBilled, Quantity = 8, Amount = -80 }, "Billed before: 8" },
        { new() { Step = StepKind.BookPrice, Quantity = 2, UnitAmount = 3, ValidFrom = FirstOfFebruary, Amount = 6 }, "From 2026-02-01: 2 × 3" },
    };

    [Theory]
    [MemberData(nameof(Steps))]
    public void A_step_in_words(RatingStep step, string text) => StepText.Of(step, DateTimeZoneProviders.Tzdb["Europe/Berlin"]).ShouldBe(text);

    [Fact]
    public void Every_kind_of_step_has_words()
    {
        foreach (var kind in Enum.GetValues<StepKind>())
            Should.NotThrow(() => StepText.Of(new() { Step = kind, Amount = 1 }, DateTimeZone.Utc));
    }

    [Fact]
    public void The_UBL_lines_sum_to_its_total_and_the_last_day_is_named()
    {
        var ubl = XElement.Load(new MemoryStream(InvoiceUbl.Write(Document(lines: 40))));

        var lines = ubl.Elements(cac + "InvoiceLine").Sum(line => (decimal)line.Element(cbc + "LineExtensionAmount")!);
        ((decimal)ubl.Element(cac + "LegalMonetaryTotal")!.Element(cbc + "PayableAmount")!).ShouldBe(lines);
        // January in Berlin, half-open until the first of February.
        ((string)ubl.Element(cac + "InvoicePeriod")!.Element(cbc + "EndDate")!).ShouldBe("2026-01-31");
    }

    [Fact]
    public void What_credit_paid_and_what_became_credit_stand_between_the_total_and_what_is_due()
    {
        Payable(paidByCredit: 200_00, toWallet: 0).ShouldBe(("1169.12", "200.00", "969.12"));
        Payable(paidByCredit: 0, toWallet: 0).ShouldBe(("1169.12", null, "1169.12"));
        Payable(paidByCredit: 0, toWallet: 19_00, total: 0).ShouldBe(("-19.00", "-19.00", "0.00"));

        static (string?, string?, string?) Payable(long paidByCredit, long toWallet, long total = 1_169_12)
        {
            var document = Document(lines: 2);
            var invoice = document.Invoice with
            {
                Total = new(total, Currency.EUR),
                CreditApplied = new(paidByCredit, Currency.EUR),
                ToWallet = new(toWallet, Currency.EUR),
            };
            var ubl = XElement.Load(new MemoryStream(InvoiceUbl.Write(document with { Invoice = invoice }))).Element(cac + "LegalMonetaryTotal")!;
            return ((string?)ubl.Element(cbc + "TaxInclusiveAmount"), (string?)ubl.Element(cbc + "PrepaidAmount"), (string?)ubl.Element(cbc + "PayableAmount"));
        }
    }

    [Fact]
    public void A_credit_note_is_UBL_as_approved()
    {
        Approve.Text(Encoding.UTF8.GetString(CreditNoteUbl.Write(Credited(lines: 3))) + "\n", "credit-note.ubl.xml");
    }

    [Fact]
    public void The_UBL_of_a_credit_note_adds_up()
    {
        var ubl = XElement.Load(new MemoryStream(CreditNoteUbl.Write(Credited(lines: 3))));
        var total = ubl.Element(cac + "LegalMonetaryTotal")!;
        var tax = ubl.Element(cac + "TaxTotal")!;

        ubl.Elements(cac + "CreditNoteLine").Sum(line => (decimal)line.Element(cbc + "LineExtensionAmount")!)
            .ShouldBe((decimal)total.Element(cbc + "TaxExclusiveAmount")!);
        tax.Elements(cac + "TaxSubtotal").Sum(rate => (decimal)rate.Element(cbc + "TaxableAmount")!)
            .ShouldBe((decimal)total.Element(cbc + "TaxExclusiveAmount")!);
        tax.Elements(cac + "TaxSubtotal").Sum(rate => (decimal)rate.Element(cbc + "TaxAmount")!)
            .ShouldBe((decimal)tax.Element(cbc + "TaxAmount")!);
        ((decimal)total.Element(cbc + "TaxExclusiveAmount")! + (decimal)tax.Element(cbc + "TaxAmount")!)
            .ShouldBe((decimal)total.Element(cbc + "PayableAmount")!);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 1)]
    [InlineData(60, 2)]
    public void The_PDF_of_a_credit_note_takes_as_many_pages_as_its_lines_need(int lines, int pages)
    {
        using var pdf = PdfReader.Open(new MemoryStream(CreditNotePdf.Write(Credited(lines))), PdfDocumentOpenMode.Import);

        pdf.PageCount.ShouldBe(pages);
        pdf.Info.Title.ShouldBe("Credit note CN-2026-000001");
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(29, 1)]
    [InlineData(120, 4)]
    public void The_PDF_takes_as_many_pages_as_its_lines_need(int lines, int pages)
    {
        using var pdf = PdfReader.Open(new MemoryStream(InvoicePdf.Write(Document(lines))), PdfDocumentOpenMode.Import);

        pdf.PageCount.ShouldBe(pages);
        pdf.Info.Title.ShouldBe("Invoice 2026-000042");
    }

    [Fact]
    public async Task Whoever_may_read_the_invoice_gets_its_paper_and_nobody_else()
    {
        var (tenant, other) = (await billing.NewTenant(), await billing.NewTenant());
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var invoice = (await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period")).Json;
        var path = $"/v1/invoices/{invoice.GetProperty("invoice_id").GetString()}";

        (await tenant.Viewer.Get($"{path}/pdf")).Text.ShouldStartWith("%PDF-");
        var ubl = await tenant.Viewer.Get($"{path}/ubl");
        ubl.Text.ShouldContain($"<cbc:ID>{invoice.GetProperty("number").GetString()}</cbc:ID>");
        foreach (var document in (string[])["pdf", "ubl"])
        {
            (await other.Admin.Get($"{path}/{document}")).Status.ShouldBe(404);
            (await billing.Anonymous.Get($"{path}/{document}")).Status.ShouldBe(401);
        }
    }

    private static decimal Exact(string number) => decimal.Parse(number, System.Globalization.CultureInfo.InvariantCulture);

    // A discounted line, one whose price contains its tax, and one that is not taxed: 100 - 25 + 14.25, 119, 50.
    private static InvoiceDocument Taxed() => Document(
        [
            Drafted(), Line(1), Line(2, cents: 119_00) with { Description = "Retail calls" }, Line(3, cents: 50_00),
            DiscountAdded(), TaxAdded(),
            TaxAdded() with
            {
                Inclusive = true,
                TaxableAmount = new(100_00, Currency.EUR),
                Amount = new(19_00, Currency.EUR),
                Lines = [new(2, new(19_00, Currency.EUR))],
            },
            TaxAdded() with
            {
                Rate = 0,
                Reason = "No tax rate of DE was in force",
                TaxRateIds = [],
                TaxableAmount = new(50_00, Currency.EUR),
                Amount = new(0, Currency.EUR),
                Lines = [new(3, new(0, Currency.EUR))],
            },
        ],
        issuerTaxId: "DE987654321");

    // Half of each line of the taxed invoice with half of its tax; more lines are like its third.
    private static CreditNoteDocument Credited(int lines)
    {
        var taxed = Taxed();
        var credited = Enumerable.Range(1, lines).Select(number => number switch
        {
            1 => new CreditedLine(1, LineKind.Usage, "GPU time", new(44_63, Currency.EUR), TaxAmount: new(7_13, Currency.EUR)),
            2 => new CreditedLine(2, LineKind.Usage, "Retail calls", new(59_50, Currency.EUR), TaxAmount: new(9_50, Currency.EUR)),
            _ => new CreditedLine(3, LineKind.Usage, "GPU time", new(25_00, Currency.EUR), TaxAmount: new(0, Currency.EUR)),
        }).ToList();
        var (total, tax) = (credited.Sum(line => line.Amount.MinorUnits), credited.Sum(line => line.TaxAmount.MinorUnits));
        var note = new CreditNoteView(
            TheCreditNote, "CN-2026-000001", TheInvoice, "2026-000042", credited, new(tax, Currency.EUR), new(total, Currency.EUR),
            ReducesDue: new(total - 10_00, Currency.EUR), ToWallet: new(8_00, Currency.EUR), ToRefund: new(2_00, Currency.EUR),
            "Not as agreed", FirstOfFebruary);
        return new(note, taxed.Invoice, taxed.Issuer, taxed.Customer, taxed.IssuerTaxId);
    }

    private static InvoiceDocument Document(int lines) => Document(
    [
        Drafted(),
        .. Enumerable.Range(1, lines).Select(number => number == 2
            ? Line(2, cents: -65_44) with { Kind = LineKind.LateUsage, Description = "GPU time, corrected", UnitAmount = null }
            : Line(number, cents: 1_234_56)),
    ]);

    private static InvoiceDocument Document(InvoiceEvent[] history, string? issuerTaxId = null)
    {
        var draft = history.Aggregate((InvoiceView?)null, InvoiceView.Fold)!;
        var final = new InvoiceFinalized("2026-000042", draft.Total, Amounts: [], DueInTwoWeeks(), FirstOfFebruary);
        var invoice = InvoiceView.Fold(draft, final)!;
        return new(
            invoice, "Example GPUs GmbH",
            new TenantView(TheTenant, "Zażółć & Söhne <Ltd>", Currency.EUR, "Europe/Berlin", 1, FirstOfJanuary), issuerTaxId);
    }
}
