using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Rating;

/// <summary>Units at the prices that the book had when they were used.</summary>
public class BookPriceSpecs
{
    internal static readonly PriceModel Price = new BookPrice(new(Prices("2@0 3@10"), []), UnitSize: 1, Limits.None);

    private static readonly BillingPeriod February = new(FirstOfFebruary, FirstOfMarch);

    /// <summary>
    /// One line per case: the book and the overrides as amount@day (of February; 0 is in January) or amount@from-until; units@day; the
    /// size of a priced unit; the amount; the steps as quantity x price.
    /// </summary>
    public static TheoryData<string, string, string, string, string, string> Cases => new()
    {
        { "2@0", "", "5@5", "1", "10", "5x2" },
        { "2@0", "", "", "1", "0", "0x2" },
        { "2@0 3@10", "", "5@5 4@10", "1", "22", "5x2 4x3" },
        { "2@0 3@10", "", "5@9 1@5 4@12 2@28", "1", "30", "6x2 6x3" },
        { "2@0 3@10", "", "5@5", "1", "10", "5x2" },
        { "2@15", "", "5@5 5@20", "1", "20", "10x2" },
        { "2@0", "1@10", "5@5 4@12", "1", "14", "5x2 4x1" },
        { "2@0", "1@10-20", "5@5 4@12 3@20", "1", "20", "8x2 4x1" },
        { "2@0 3@15", "1@10-20", "5@5 4@12 3@20", "1", "23", "5x2 4x1 3x3" },
        { "3.6@0", "", "3600000@5 1800000@6", "3600000", "5.4", "1.5x3.6" },
        { "2@0", "", "5@5", "3", "3.333333333333333333333333333", "1.666666666666666666666666667x2" },
        { "0@0", "", "5@5", "1", "0", "5x0" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Each_unit_costs_what_the_book_said_when_it_was_used(
        string book, string overrides, string uses, string size, string amount, string steps)
    {
        var price = new BookPrice(new(Prices(book), Prices(overrides)), Number(size), Limits.None);

        var rated = Rate.Of(price, Used(uses), periodEnd: true);

        Decimals.Format(rated.Amount).ShouldBe(amount);
        string.Join(' ', rated.Breakdown.Select(step => $"{Decimals.Format(step.Quantity!.Value)}x{Decimals.Format(step.UnitAmount!.Value)}"))
            .ShouldBe(steps);
        rated.Breakdown.ShouldAllBe(step => step.Step == StepKind.BookPrice && step.PriceId != null && step.ValidFrom != null);
    }

    [Theory]
    [InlineData("10", null, "12")]
    [InlineData("40", null, "40")]
    [InlineData("10", "11", "11")]
    public void Minimum_and_maximum_bound_the_sum_over_all_prices(string minimum, string? maximum, string amount)
    {
        var limits = new Limits(MinimumAmount: Number(minimum), MaximumAmount: maximum is null ? null : Number(maximum));

        var rated = Rate.Of(new BookPrice(new(Prices("2@0 4@10"), []), UnitSize: 1, limits), Used("2@5 2@12"), periodEnd: true);

        Decimals.Format(rated.Amount).ShouldBe(amount);
    }

    [Fact]
    public void However_a_period_is_cut_its_slices_sum_to_one_run() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int[], int[], PositiveInt>((used, changes, at) =>
        {
            // Each number is a day and, by the rest, how many units were used or what a unit costs from then on.
            var days = used.Select(each => (Day: Math.Abs(each % 28) + 1, Units: Math.Abs(each / 28m % 1000))).ToArray();
            var timeline = new PriceTimeline(
                [
                    Booked(1.23456m, day: 0, index: 0),
                    .. changes.Select((each, index) => Booked(Math.Abs(each % 99_991) / 1000m, Math.Abs(each % 28) + 1, index + 1)),
                ],
                []);
            var price = new BookPrice(timeline, UnitSize: 8, Limits.None);
            var (first, all) = (Measure(days.Where(day => day.Day < at.Get % 28)), Measure(days));

            var slice = Rate.Slice(price, first, periodEnd: false, alreadyBilled: 0, alreadyMeasured: null, Currency.EUR);
            var rest = Rate.Slice(
                price, all, periodEnd: true, Rate.Of(price, first, periodEnd: false).Amount, first.Quantity, Currency.EUR);

            return slice.Rounded + rest.Rounded == Money.Round(Rate.Of(price, all, periodEnd: true).Amount, Currency.EUR);
        }));

    private static Measured Measure(IEnumerable<(int Day, decimal Units)> days)
    {
        TimedUse[] uses = [.. days.Select(day => new TimedUse(Day(day.Day), decimal.Round(day.Units, 3)))];
        return new(uses.Sum(use => use.Quantity), []) { Windows = new(February, DateTimeZone.Utc, uses) };
    }

    private static Measured Used(string uses)
    {
        TimedUse[] timed =
        [
            .. uses.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(use => use.Split('@'))
                .Select(use => new TimedUse(Day(int.Parse(use[1], CultureInfo.InvariantCulture)), Number(use[0]))),
        ];
        return new(timed.Sum(use => use.Quantity), []) { Windows = new(February, DateTimeZone.Utc, timed) };
    }

    private static BookedPrice[] Prices(string text) =>
    [
        .. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((price, index) =>
        {
            var parts = price.Split('@', '-');
            var booked = Booked(Number(parts[0]), int.Parse(parts[1], CultureInfo.InvariantCulture), index);
            return parts.Length == 2 ? booked : booked with { ValidUntil = Day(int.Parse(parts[2], CultureInfo.InvariantCulture)) };
        }),
    ];

    private static BookedPrice Booked(decimal amount, int day, int index) =>
        new(PriceId.New(), amount, Day(day), ValidUntil: null, FirstOfJanuary + Duration.FromMinutes(index));

    // The first moment of a day of February; 0 lies in January.
    private static Instant Day(int day) => FirstOfFebruary + Duration.FromDays(day - 1);

    private static decimal Number(string text) => decimal.Parse(text, CultureInfo.InvariantCulture);
}
