using System.Globalization;
using NodaTime;
using NodaTime.Text;
using PdfSharp.Drawing;
using PdfSharp.Fonts;
using PdfSharp.Pdf;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.Paper;

/// <summary>The invoice on A4: head, lines over as many pages as they need, totals. Lengths are points, 1/72 inch.</summary>
public static class InvoicePdf
{
    private const double Left = 50, Right = 545, Top = 50, Bottom = 770, RowHeight = 16;

    // The right edges of the columns that stand right-aligned.
    private const double Quantity = 330, Unit = 395, UnitPrice = 470, Amount = Right;

    private static readonly XFont plain = Font(9);
    private static readonly XFont small = Font(7.5);
    private static readonly XFont bold = Font(9, XFontStyleEx.Bold);
    private static readonly XFont title = Font(18, XFontStyleEx.Bold);
    private static readonly XPen rule = new(XColors.LightGray, 0.75);

    public static byte[] Write(InvoiceDocument document)
    {
        using var pdf = new PdfDocument();
        pdf.Info.Title = $"Invoice {document.Invoice.Number}";
        pdf.Info.Author = document.Issuer;
        pdf.Info.CreationDate = document.Invoice.FinalizedAt!.Value.ToDateTimeUtc();

        var sheet = new Sheet(pdf);
        Head(sheet, document);
        ColumnNames(sheet);
        foreach (var line in document.Invoice.Lines)
        {
            if (sheet.Y + 2 * RowHeight > Bottom)
            {
                sheet.NextPage();
                ColumnNames(sheet);
            }
            Line(sheet, document, line);
        }
        var credit = document.Invoice is { CreditApplied.MinorUnits: 0, ToWallet.MinorUnits: 0 } ? 0 : 2;
        if (sheet.Y + (5 + document.Invoice.Discounts.Count + document.Invoice.Taxes.Count + credit) * RowHeight > Bottom)
            sheet.NextPage();
        Totals(sheet, document.Invoice);
        sheet.End();
        PageNumbers(pdf, document.Invoice);

        using var written = new MemoryStream();
        pdf.Save(written);
        return written.ToArray();
    }

    private static void Head(Sheet sheet, InvoiceDocument document)
    {
        var invoice = document.Invoice;
        sheet.Text(document.Issuer, bold, Left);
        sheet.RightText("Invoice", title, Right);
        if (document.IssuerTaxId is { } issuerTaxId)
        {
            sheet.Y += RowHeight;
            sheet.Text($"Tax id {issuerTaxId}", small, Left);
            sheet.Y -= RowHeight;
        }

        sheet.Y += 40;

        (string Name, string Value)[] facts =
        [
            ("Number", invoice.Number!),
            ("Date", Date(document.IssueDate)),
            ("Billing period", Days(document, invoice.BillingPeriod.Start, invoice.BillingPeriod.End)),
            ("Time zone", invoice.BillingPeriod.TimeZone),
        ];
        var start = sheet.Y;
        foreach (var (name, value) in facts)
        {
            sheet.Text(name, small, 330);
            sheet.RightText(value, plain, Right);
            sheet.Y += RowHeight;
        }

        var end = sheet.Y;
        sheet.Y = start;
        sheet.Text("Bill to", small, Left);
        sheet.Y += RowHeight;
        sheet.Text(Fitting(document.Customer.Name, bold, 260, sheet), bold, Left);
        sheet.Y += RowHeight;
        sheet.Text(document.Customer.TenantId.ToString(), small, Left);
        if (invoice.CustomerTaxId is { } taxId)
        {
            sheet.Y += RowHeight;
            sheet.Text($"Tax id {taxId}", small, Left);
        }

        sheet.Y = end + 24;
    }

    private static void ColumnNames(Sheet sheet)
    {
        sheet.Text("Description", small, Left);
        sheet.RightText("Quantity", small, Quantity);
        sheet.RightText("Unit", small, Unit);
        sheet.RightText("Unit price", small, UnitPrice);
        sheet.RightText("Amount", small, Amount);
        sheet.Y += RowHeight - 3;
        sheet.Rule();
    }

    private static void Line(Sheet sheet, InvoiceDocument document, InvoiceView.InvoiceLine line)
    {
        sheet.Text(Fitting(line.Description, plain, 190, sheet), plain, Left);
        sheet.RightText(InvoiceDocument.Grouped(line.Quantity), plain, Quantity);
        sheet.RightText(Fitting(line.Unit, plain, Unit - Quantity - 5, sheet), plain, Unit);
        sheet.RightText(line.UnitAmount is { } each ? InvoiceDocument.Grouped(each) : "see tiers", plain, UnitPrice);
        sheet.RightText(InvoiceDocument.Grouped(line.Amount), plain, Amount);
        sheet.Y += RowHeight;
        if (line.Kind is LineKind.LateUsage)
        {
            sheet.Y -= 4;
            sheet.Text($"for {Days(document, line.WindowStart, line.WindowEnd)}", small, Left);
            sheet.Y += RowHeight;
        }
    }

    private static void Totals(Sheet sheet, InvoiceView invoice)
    {
        sheet.Y += 4;
        sheet.Rule();
        Row("Subtotal", invoice.Subtotal);
        foreach (var discount in invoice.Discounts)
            Row($"{discount.Description} ({discount.Code})", Money.Zero(discount.Amount.Currency) - discount.Amount);
        foreach (var tax in invoice.Taxes.Where(tax => !tax.Inclusive))
            Row(Tax(tax), tax.Amount);
        sheet.RightText($"Total {invoice.Total.Currency}", bold, UnitPrice);
        sheet.RightText(InvoiceDocument.Grouped(invoice.Total), bold, Amount);
        foreach (var tax in invoice.Taxes.Where(tax => tax.Inclusive))
        {
            sheet.Y += RowHeight;
            sheet.RightText($"of which {Tax(tax)}", small, UnitPrice);
            sheet.RightText(InvoiceDocument.Grouped(tax.Amount), small, Amount);
        }

        sheet.Y += RowHeight;
        if (invoice.CreditApplied.MinorUnits > 0)
        {
            Row("Paid by credit", Money.Zero(invoice.Total.Currency) - invoice.CreditApplied);
            Row("Amount due", invoice.Total - invoice.CreditApplied);
        }

        if (invoice.ToWallet.MinorUnits > 0)
            Row("Credited to your wallet", invoice.ToWallet);

        if (invoice.UsageTree is { } tree)
        {
            sheet.Y += RowHeight;
            sheet.Text(
                string.Create(CultureInfo.InvariantCulture, $"Merkle root over the {tree.Size:N0} usage events of this invoice: {tree.Root}"), small, Left);
        }

        void Row(string name, Money amount)
        {
            sheet.RightText(Fitting(name, plain, UnitPrice - Left, sheet), plain, UnitPrice);
            sheet.RightText(InvoiceDocument.Grouped(amount), plain, Amount);
            sheet.Y += RowHeight;
        }
    }

    private static string Tax(InvoiceView.InvoiceTax tax) => tax.Reason is { } reason
        ? $"Tax {tax.Jurisdiction}: {reason}"
        : $"Tax {tax.Jurisdiction} {InvoiceDocument.Percent(tax.Rate)} of {InvoiceDocument.Grouped(tax.TaxableAmount)}";

    private static void PageNumbers(PdfDocument pdf, InvoiceView invoice)
    {
        for (var page = 0; page < pdf.PageCount; page++)
        {
            using var graphics = XGraphics.FromPdfPage(pdf.Pages[page]);
            graphics.DrawString($"{invoice.Number}   {invoice.InvoiceId}", small, XBrushes.Gray, new XPoint(Left, 806));
            graphics.DrawString(
                string.Create(CultureInfo.InvariantCulture, $"Page {page + 1} of {pdf.PageCount}"), small, XBrushes.Gray,
                new XRect(Left, 798, Right - Left, 10), XStringFormats.TopRight);
        }
    }

    private static XFont Font(double size, XFontStyleEx style = XFontStyleEx.Regular)
    {
        GlobalFontSettings.FontResolver ??= new DejaVu();
        return new("DejaVu Sans", size, style);
    }

    private static string Days(InvoiceDocument document, Instant start, Instant end)
    {
        var (first, last) = document.Days(start, end);
        return first == last ? Date(first) : $"{Date(first)} to {Date(last)}";
    }

    private static string Date(LocalDate date) => LocalDatePattern.Iso.Format(date);

    private static string Fitting(string text, XFont font, double width, Sheet sheet)
    {
        var kept = text;
        while (kept.Length > 1 && sheet.Width(kept, font) > width)
            kept = kept[..^2] + "…";
        return kept;
    }

    /// <summary>Where the pen stands, on the page that is written.</summary>
    private sealed class Sheet(PdfDocument pdf)
    {
        private XGraphics graphics = XGraphics.FromPdfPage(A4(pdf));

        public double Y { get; set; } = Top;

        public void NextPage()
        {
            graphics.Dispose();
            graphics = XGraphics.FromPdfPage(A4(pdf));
            Y = Top;
        }

        public void End() => graphics.Dispose();

        public double Width(string text, XFont font) => graphics.MeasureString(text, font).Width;

        public void Text(string text, XFont font, double left) =>
            graphics.DrawString(text, font, XBrushes.Black, new XPoint(left, Y + 9));

        public void RightText(string text, XFont font, double right) => Text(text, font, right - Width(text, font));

        public void Rule()
        {
            graphics.DrawLine(rule, Left, Y, Right, Y);
            Y += 6;
        }

        private static PdfPage A4(PdfDocument pdf)
        {
            var page = pdf.AddPage();
            page.Size = PdfSharp.PageSize.A4;
            return page;
        }
    }

    /// <summary>Debian's fonts-dejavu-core: it has every currency's and most alphabets' letters, and needs no system look-up.</summary>
    private sealed class DejaVu : IFontResolver
    {
        private const string Folder = "/usr/share/fonts/truetype/dejavu";

        public FontResolverInfo ResolveTypeface(string familyName, bool isBold, bool isItalic) =>
            new(isBold ? "DejaVuSans-Bold.ttf" : "DejaVuSans.ttf");

        public byte[] GetFont(string faceName) => File.ReadAllBytes(Path.Combine(Folder, faceName));
    }
}
