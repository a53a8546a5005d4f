using System.Globalization;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Contracts;
using static Platform.Billing.Paper.Sheet;

namespace Platform.Billing.Paper;

/// <summary>The invoice on A4: head, lines over as many pages as they need, totals.</summary>
public static class InvoicePdf
{
    // The right edges of the columns that stand right-aligned.
    private const double Quantity = 330, Unit = 395, UnitPrice = 470, Amount = Right;

    private const double DetailHeight = 11;

    // What was used at many prices of the book has as many steps; the rest of them is in the invoice's JSON.
    private const int DetailsMax = 12;

    public static byte[] Write(InvoiceDocument document)
    {
        var invoice = document.Invoice;
        return Sheet.Write("Invoice", invoice.Number!, invoice.InvoiceId.Value, document.Issuer, invoice.FinalizedAt!.Value, sheet =>
        {
            sheet.Head(
                "Invoice", document.Issuer, document.IssuerTaxId, "Bill to", document.Customer, invoice.CustomerTaxId,
                [
                    ("Number", invoice.Number!),
                    ("Date", Date(document.IssueDate)),
                    .. document.DueDate is { } due ? [("Payable until", Date(due))] : ((string, string)[])[],
                    ("Billing period", Days(document, invoice.BillingPeriod.Start, invoice.BillingPeriod.End)),
                    ("Time zone", invoice.BillingPeriod.TimeZone),
                ]);
            ColumnNames(sheet);
            foreach (var line in invoice.Lines)
            {
                var details = Details(document, line);
                if (sheet.Y + 2 * RowHeight + details.Count * DetailHeight > Bottom)
                {
                    sheet.NextPage();
                    ColumnNames(sheet);
                }
                Line(sheet, line, details);
            }

            var credit = invoice is { CreditApplied.MinorUnits: 0, ToWallet.MinorUnits: 0 } ? 0 : 2;
            if (sheet.Y + (5 + invoice.Discounts.Count + invoice.Taxes.Count + credit) * RowHeight > Bottom)
                sheet.NextPage();
            Totals(sheet, invoice);
        });
    }

    private static void ColumnNames(Sheet sheet)
    {
        sheet.Text("Description", Small, Left);
        sheet.RightText("Quantity", Small, Quantity);
        sheet.RightText("Unit", Small, Unit);
        sheet.RightText("Unit price", Small, UnitPrice);
        sheet.RightText("Amount", Small, Amount);
        sheet.Y += RowHeight - 3;
        sheet.Rule();
    }

    private static void Line(Sheet sheet, InvoiceView.InvoiceLine line, IReadOnlyList<(string Text, string? Amount)> details)
    {
        sheet.Text(sheet.Fitting(line.Description, Plain, 190), Plain, Left);
        sheet.RightText(InvoiceDocument.Grouped(line.Quantity), Plain, Quantity);
        sheet.RightText(sheet.Fitting(line.Unit, Plain, Unit - Quantity - 5), Plain, Unit);
        if (InvoiceDocument.UnitPrice(line) is { } each)
            sheet.RightText(InvoiceDocument.Grouped(each), Plain, UnitPrice);
        sheet.RightText(InvoiceDocument.Grouped(line.Amount), Plain, Amount);
        sheet.Y += RowHeight;
        if (details.Count == 0)
            return;

        sheet.Y -= 3;
        foreach (var (text, amount) in details)
        {
            sheet.Text(sheet.Fitting(text, Small, Unit - Left - 15), Small, Left + 10);
            if (amount is not null)
                sheet.RightText(amount, Small, UnitPrice);
            sheet.Y += DetailHeight;
        }

        sheet.Y += 4;
    }

    // What the line is for where that is not the invoice's period, and how its amount came about.
    private static IReadOnlyList<(string Text, string? Amount)> Details(InvoiceDocument document, InvoiceView.InvoiceLine line)
    {
        var period = document.Invoice.BillingPeriod;
        var steps = line.Breakdown ?? [];
        return
        [
            .. (line.WindowStart, line.WindowEnd) == (period.Start, period.End)
                ? []
                : ((string, string?)[])[($"for {Days(document, line.WindowStart, line.WindowEnd)}", null)],
            .. steps.Take(DetailsMax).Select(step => (StepText.Of(step, document.Zone), (string?)InvoiceDocument.Grouped(step.Amount))),
            .. steps.Count > DetailsMax
                ? [(string.Create(CultureInfo.InvariantCulture, $"and {steps.Count - DetailsMax} more"), null)]
                : ((string, string?)[])[],
        ];
    }

    private static void Totals(Sheet sheet, InvoiceView invoice)
    {
        sheet.Y += 4;
        sheet.Rule();
        Row("Subtotal", invoice.Subtotal);
        foreach (var discount in invoice.Discounts)
            Row($"{discount.Description} ({discount.Code})", Money.Zero(discount.Amount.Currency) - discount.Amount);
        foreach (var tax in invoice.Taxes.Where(tax => !tax.Inclusive))
            Row(Tax(tax, tax.TaxableAmount), tax.Amount);
        sheet.RightText($"Total {invoice.Total.Currency}", Bold, UnitPrice);
        sheet.RightText(InvoiceDocument.Grouped(invoice.Total), Bold, Amount);
        foreach (var tax in invoice.Taxes.Where(tax => tax.Inclusive))
        {
            sheet.Y += RowHeight;
            sheet.RightText($"of which {Tax(tax, tax.TaxableAmount)}", Small, UnitPrice);
            sheet.RightText(InvoiceDocument.Grouped(tax.Amount), Small, Amount);
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
                string.Create(CultureInfo.InvariantCulture, $"Merkle root over the {tree.Size:N0} usage events of this invoice: {tree.Root}"), Small, Left);
        }

        void Row(string name, Money amount)
        {
            sheet.RightText(sheet.Fitting(name, Plain, UnitPrice - Left), Plain, UnitPrice);
            sheet.RightText(InvoiceDocument.Grouped(amount), Plain, Amount);
            sheet.Y += RowHeight;
        }
    }

    internal static string Tax(InvoiceView.InvoiceTax tax, Money taxable) => tax.Reason is { } reason
        ? $"Tax {tax.Jurisdiction}: {reason}"
        : $"Tax {tax.Jurisdiction} {InvoiceDocument.Percent(tax.Rate)} of {InvoiceDocument.Grouped(taxable)}";

    private static string Days(InvoiceDocument document, Instant start, Instant end)
    {
        var (first, last) = document.Days(start, end);
        return first == last ? Date(first) : $"{Date(first)} to {Date(last)}";
    }
}
