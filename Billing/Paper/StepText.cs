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
        var product = string.Join(" × ", factors.Where(factor => factor is not null));
        var sum = step.FlatAmount is null or 0 ? product : $"{product} + {Grouped(step.FlatAmount.Value)}";
        return string.Join(": ", new[] { step.Band is { } band ? $"{name} ({band})".TrimStart() : name, sum }.Where(part => part.Length > 0));
    }
}
