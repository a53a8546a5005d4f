using System.Globalization;
using NodaTime;
using NodaTime.Text;
using PdfSharp.Drawing;
using PdfSharp.Fonts;
using PdfSharp.Pdf;
using Platform.Billing.Tenants;

namespace Platform.Billing.Paper;

/// <summary>A4 pages of one document, and where the pen stands on the one that is written. Lengths are points, 1/72 inch.</summary>
internal sealed class Sheet
{
    public const double Left = 50, Right = 545, Bottom = 770, RowHeight = 16;

    public static readonly XFont Plain = Font(9), Small = Font(7.5), Bold = Font(9, XFontStyleEx.Bold);

    private const double Top = 50;

    private static readonly XFont title = Font(18, XFontStyleEx.Bold);
    private static readonly XPen rule = new(XColors.LightGray, 0.75);

    private readonly PdfDocument pdf;
    private XGraphics graphics;

    private Sheet(PdfDocument pdf) => (this.pdf, graphics) = (pdf, XGraphics.FromPdfPage(A4(pdf)));

    public double Y { get; set; } = Top;

    /// <param name="name">What kind of document it is.</param>
    /// <param name="number">Its number, which people know it by.</param>
    /// <param name="id">Its id, at the foot of each page.</param>
    /// <param name="draw">Writes it from the top of the first page on.</param>
    public static byte[] Write(string name, string number, Guid id, string author, Instant issuedAt, Action<Sheet> draw)
    {
        using var pdf = new PdfDocument();
        pdf.Info.Title = $"{name} {number}";
        pdf.Info.Author = author;
        pdf.Info.CreationDate = issuedAt.ToDateTimeUtc();

        var sheet = new Sheet(pdf);
        draw(sheet);
        sheet.graphics.Dispose();
        Foot(pdf, $"{number}   {id}");

        using var written = new MemoryStream();
        pdf.Save(written);
        return written.ToArray();
    }

    /// <summary>Who writes what to whom, with facts about it; the pen is below all of it then.</summary>
    public void Head(
        string name, string issuer, string? issuerTaxId, string to, TenantView customer, string? customerTaxId,
        params IEnumerable<(string Name, string Value)> facts)
    {
        Text(issuer, Bold, Left);
        RightText(name, title, Right);
        if (issuerTaxId is not null)
        {
            Y += RowHeight;
            Text($"Tax id {issuerTaxId}", Small, Left);
            Y -= RowHeight;
        }

        Y += 40;

        var start = Y;
        foreach (var fact in facts)
        {
            Text(fact.Name, Small, 330);
            RightText(fact.Value, Plain, Right);
            Y += RowHeight;
        }

        var end = Y;
        Y = start;
        Text(to, Small, Left);
        Y += RowHeight;
        Text(Fitting(customer.Name, Bold, 260), Bold, Left);
        Y += RowHeight;
        Text(customer.TenantId.ToString(), Small, Left);
        if (customerTaxId is not null)
        {
            Y += RowHeight;
            Text($"Tax id {customerTaxId}", Small, Left);
        }

        Y = Math.Max(Y, end) + 24;
    }

    /// <summary>Goes on at the top of a new page.</summary>
    public void NextPage()
    {
        graphics.Dispose();
        graphics = XGraphics.FromPdfPage(A4(pdf));
        Y = Top;
    }

    public void Text(string text, XFont font, double left) => graphics.DrawString(text, font, XBrushes.Black, new XPoint(left, Y + 9));

    public void RightText(string text, XFont font, double right) => Text(text, font, right - Width(text, font));

    public void Rule()
    {
        graphics.DrawLine(rule, Left, Y, Right, Y);
        Y += 6;
    }

    /// <summary>As much of a text as the width holds.</summary>
    public string Fitting(string text, XFont font, double width)
    {
        var kept = text;
        while (kept.Length > 1 && Width(kept, font) > width)
            kept = kept[..^2] + "…";
        return kept;
    }

    public static string Date(LocalDate date) => LocalDatePattern.Iso.Format(date);

    private double Width(string text, XFont font) => graphics.MeasureString(text, font).Width;

    private static void Foot(PdfDocument pdf, string text)
    {
        for (var page = 0; page < pdf.PageCount; page++)
        {
            using var graphics = XGraphics.FromPdfPage(pdf.Pages[page]);
            graphics.DrawString(text, Small, XBrushes.Gray, new XPoint(Left, 806));
            graphics.DrawString(
                string.Create(CultureInfo.InvariantCulture, $"Page {page + 1} of {pdf.PageCount}"), Small, XBrushes.Gray,
                new XRect(Left, 798, Right - Left, 10), XStringFormats.TopRight);
        }
    }

    private static PdfPage A4(PdfDocument pdf)
    {
        var page = pdf.AddPage();
        page.Size = PdfSharp.PageSize.A4;
        return page;
    }

    private static XFont Font(double size, XFontStyleEx style = XFontStyleEx.Regular)
    {
        GlobalFontSettings.FontResolver ??= new DejaVu();
        return new("DejaVu Sans", size, style);
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
