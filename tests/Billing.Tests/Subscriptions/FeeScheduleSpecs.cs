using System.Globalization;
using NodaTime;
using Platform.Billing.Subscriptions;

namespace Platform.Billing.Tests.Subscriptions;

public class FeeScheduleSpecs
{
    [Theory]
    // changes in the order in which they were asked for, by hours from the start -> steps
    [InlineData("", "1@0")]
    [InlineData("3@5", "1@0 3@5")]
    [InlineData("3@5 4@9", "1@0 3@5 4@9")]
    [InlineData("3@5 1@9", "1@0 3@5 1@9")]
    // a change that changes nothing is none
    [InlineData("1@5", "1@0")]
    [InlineData("3@5 3@9", "1@0 3@5")]
    [InlineData("3@5 1@5", "1@0")]
    [InlineData("3@0", "3@0")]
    // what was asked for last counts from its time on
    [InlineData("3@9 4@5", "1@0 4@5")]
    [InlineData("3@9 1@5", "1@0")]
    [InlineData("3@5 4@5", "1@0 4@5")]
    [InlineData("pause@9 resume@5", "1@0")]
    [InlineData("pause@5 pause@3", "1@0 p1@3")]
    // pauses and quantities leave each other alone
    [InlineData("pause@5 resume@9", "1@0 p1@5 1@9")]
    [InlineData("pause@5 3@7 resume@9", "1@0 p1@5 p3@7 3@9")]
    [InlineData("pause@5 resume@9 3@2", "1@0 3@2 p3@5 3@9")]
    [InlineData("3@9 pause@5", "1@0 p1@5 p3@9")]
    public void What_holds_when(string changes, string steps) => Text(After(changes)).ShouldBe(steps);

    [Theory]
    // changes, period -> spans: its parts, whatever lies before and after
    [InlineData("", 0, 24, "1@0-24")]
    [InlineData("3@5", 0, 24, "1@0-5 3@5-24")]
    [InlineData("3@5", 5, 24, "3@5-24")]
    [InlineData("3@5", 0, 5, "1@0-5")]
    [InlineData("3@5 4@30", 7, 24, "3@7-24")]
    [InlineData("pause@5 3@7 resume@9", 6, 8, "p1@6-7 p3@7-8")]
    [InlineData("3@5", 3, 3, "")]
    public void The_spans_of_a_period(string changes, int from, int to, string spans)
    {
        var period = new BillingPeriod(Hour(from), Hour(to));
        var over = After(changes).Over(period);

        string.Join(' ', over.Select(span =>
            $"{(span.Paused ? "p" : "")}{span.Quantity}@{Hours(span.Window.Start)}-{Hours(span.Window.End)}")).ShouldBe(spans);
        After(changes).Since(Hour(from)).Over(period).ShouldBe(over);
    }

    private static FeeSchedule After(string changes) => changes.Split(' ', StringSplitOptions.RemoveEmptyEntries)
        .Select(change => change.Split('@'))
        .Aggregate(FeeSchedule.From(Hour(0), quantity: 1), (fee, change) => change[0] switch
        {
            "pause" => fee.WithPause(paused: true, Hour(Number(change[1]))),
            "resume" => fee.WithPause(paused: false, Hour(Number(change[1]))),
            var quantity => fee.WithQuantity(Number(quantity), Hour(Number(change[1]))),
        });

    private static string Text(FeeSchedule fee) =>
        string.Join(' ', fee.Steps.Select(step => $"{(step.Paused ? "p" : "")}{step.Quantity}@{Hours(step.From)}"));

    private static Instant Hour(int hours) => History.FirstOfJanuary + Duration.FromHours(hours);

    private static int Hours(Instant at) => (int)(at - History.FirstOfJanuary).TotalHours;

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
