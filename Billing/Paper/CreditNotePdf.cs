using System.Globalization;
using Platform.Billing.CreditNotes;
using Platform.Contracts;
using static Platform.Billing.Paper.Sheet;

namespace Platform.Billing.Paper;

/// <summary>
/// The credit note on A4: head, lines with the lines of the invoice that they take back from, totals and what becomes of them.
/// </summary>
public static class CreditNotePdf
{
    // The right edges of the columns that stand right-aligned.
    private const double InvoiceLine = 330, Net = 400, Tax = 470, Amount = Right;

    public static byte[] Write(CreditNoteDocument document)
    {
        var note = document.Note;
        return Sheet.Write("Credit note", note.Number, note.CreditNoteId.Value, document.Issuer, note.IssuedAt, sheet =>
        {
            sheet.Head(
                "Credit note", document.Issuer, document.IssuerTaxId, "Credit to", document.Customer, document.Invoice.CustomerTaxId,
                ("Number", note.Number), ("Date", Date(document.IssueDate)), ("Of invoice", note.InvoiceNumber));
            sheet.Text(sheet.Fitting(note.Reason, Plain, Right - Left), Plain, Left);
            sheet.Y += 2 * RowHeight;
            ColumnNames(sheet);
            foreach (var line in note.Lines)
            {
                if (sheet.Y + 2 * RowHeight > Bottom)
                {
                    sheet.NextPage();
                    ColumnNames(sheet);
                }
                Line(sheet, line);
            }

            if (sheet.Y + (6 + document.Invoice.Taxes.Count) * RowHeight > Bottom)
                sheet.NextPage();
            Totals(sheet, document);
        });
    }

    private static void ColumnNames(Sheet sheet)
    {
        sheet.Text("Description", Small, Left);
        sheet.RightText("Line of invoice", Small, InvoiceLine);
        sheet.RightText("Net", Small, Net);
        sheet.RightText("Tax", Small, Tax);
        sheet.RightText("Amount", Small, Amount);
        sheet.Y += RowHeight - 3;
        sheet.Rule();
    }

    private static void Line(Sheet sheet, CreditedLine line)
    {
        sheet.Text(sheet.Fitting(line.Description, Plain, 210), Plain, Left);
        sheet.RightText(line.Line.ToString(CultureInfo.InvariantCulture), Plain, InvoiceLine);
        sheet.RightText(InvoiceDocument.Grouped(line.Net), Plain, Net);
        sheet.RightText(InvoiceDocument.Grouped(line.TaxAmount), Plain, Tax);
        sheet.RightText(InvoiceDocument.Grouped(line.Amount), Plain, Amount);
        sheet.Y += RowHeight;
    }

    private static void Totals(Sheet sheet, CreditNoteDocument document)
    {
        var note = document.Note;
        sheet.Y += 4;
        sheet.Rule();
        Row("Net", note.Total - note.TaxTotal);
        foreach (var (tax, taxable, amount) in document.Taxes)
            Row(InvoicePdf.Tax(tax, taxable), amount);
        sheet.RightText($"Total {note.Total.Currency}", Bold, Tax);
        sheet.RightText(InvoiceDocument.Grouped(note.Total), Bold, Amount);
        sheet.Y += RowHeight;
        if (note.ReducesDue.MinorUnits > 0)
            Row($"No longer owed of invoice {note.InvoiceNumber}", note.ReducesDue);
        if (note.ToWallet.MinorUnits > 0)
            Row("Credited to your wallet", note.ToWallet);
        if (note.ToRefund.MinorUnits > 0)
            Row("Paid back", note.ToRefund);

        void Row(string name, Money amount)
        {
            sheet.RightText(sheet.Fitting(name, Plain, Tax - Left), Plain, Tax);
            sheet.RightText(InvoiceDocument.Grouped(amount), Plain, Amount);
            sheet.Y += RowHeight;
        }
    }
}
