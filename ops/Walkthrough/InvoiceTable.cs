using System.Globalization;
using System.Text.Json.Nodes;

namespace Platform.Walkthrough;

/// <summary>An invoice as a person reads it on a terminal.</summary>
public static class InvoiceTable
{
    public static string Of(JsonNode invoice)
    {
        var currency = (string)invoice["total"]!["currency"]!;
        string[][] rows =
        [
            ["", "Quantity", "Unit", "Unit price", $"Amount ({currency})"],
            .. invoice["lines"]!.AsArray().Select(line => new[]
            {
                (string)line!["description"]!,
                Grouped(MainJob.ExactDecimal(line["quantity"])),
                (string)line["unit"]!,
                (string)line["unit_amount"]!,
                (string)line["amount"]!["amount"]!,
            }),
            ["Total", "", "", "", (string)invoice["total"]!["amount"]!],
        ];
        var widths = Enumerable.Range(0, 5).Select(column => rows.Max(row => row[column].Length)).ToArray();
        var rule = new string('-', widths.Sum() + 4 * 2);

        var period = invoice["billing_period"]!;
        return string.Join(
            '\n',
            [
                $"Invoice {invoice["number"]}",
                $"{period["start"]} to {period["end"]} ({period["time_zone"]})",
                rule,
                Row(rows[0]),
                rule,
                .. rows[1..^1].Select(Row),
                rule,
                Row(rows[^1]),
                $"{invoice["usage_tree"]!["size"]} usage events, Merkle root {invoice["usage_tree"]!["root"]}",
            ]);

        string Row(string[] cells) => string.Join(
            "  ",
            cells.Select((cell, column) => column is 0 or 2 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column])));
    }

    private static string Grouped(decimal quantity) => quantity.ToString("#,0.############", CultureInfo.InvariantCulture);
}
