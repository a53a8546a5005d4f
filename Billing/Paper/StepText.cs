using NodaTime;
using Platform.Billing.Rating;
using static Platform.Billing.Paper.InvoiceDocument;

namespace Platform.Billing.Paper;

/// <summary>A step of an amount as people read it below its line: <c>Tier 1: 10 × 10 + 2</c>.</summary>
public static class StepText
{
    /// <param name="zone">In which the beginning of a price of the book is a day.</param>
    public static string Of(RatingStep step, DateTimeZone zone)
    {
        var name = step.Step switch
        {
            StepKind.Flat => "Flat amount",
            StepKind.Units => "",
            StepKind.Tier => $"Tier {step.Tier}",
            StepKind.Packages => "Packages",
            StepKind.Event => "",
            StepKind.EventMinimum => "At the minimum",
            StepKind.EventMaximum => "At the maximum",
            StepKind.OtherEvents => "At other prices",
            StepKind.Unpriced => "Without a price",
            StepKind.Free => "Free",
            StepKind.BookPrice => step.ValidFrom is { } from ? $"From {Sheet.Date(from.InZone(zone).Date)}" : "",
            StepKind.Committed => "Within the commitment",
            StepKind.Overage => "Above the commitment",
            StepKind.TrueUp => "Commitment not used",
            StepKind.Minimum => "Minimum",
            StepKind.Maximum => "Maximum",
            StepKind.AlreadyBilled => "Billed before",
            _ => throw new System.Diagnostics.UnreachableException($"No words for {step.Step}."),
        };
        string?[] factors =
        [
            step.Quantity is { } quantity ? Grouped(quantity) : null,
            step.UnitAmount is { } each ? Grouped(each) : null,
            step.Rate is { } rate ? $"{Grouped(rate * 100)} %" : null,
            step.OverageFactor is { } factor ? Grouped(factor) : null,
        ];
        var product = step.Step switch
        {
            // At a bound it does not matter what the events' amounts were.
            StepKind.EventMinimum or StepKind.EventMaximum => "",
            StepKind.OtherEvents or StepKind.Unpriced => $"{Grouped(step.Events ?? 0)} events",
            _ => string.Join(" × ", factors.Where(factor => factor is not null)),
        };
        var flat = (step.FlatAmount, step.Events) switch
        {
            (null or 0, _) => "",
            ({ } amount, null or 1) => Grouped(amount),
            ({ } amount, { } events) => $"{Grouped(events)} × {Grouped(amount)}",
        };
        return string.Join(": ", Written(step.Band is { } band ? $"{name} ({band})".TrimStart() : name, string.Join(" + ", Written(product, flat))));

        static IEnumerable<string> Written(params string[] parts) => parts.Where(part => part.Length > 0);
    }
}
