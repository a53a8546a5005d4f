using System.Globalization;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Catalog;

using PriceSpec = Spec<Price, PriceEvent>;

public class PriceSpecs
{
    /// <summary>
    /// One line per case, on noon of January 31: whether the book has the key; override or not; valid from and until; until when the
    /// tenant is billed; the refusal and its field.
    /// </summary>
    public static TheoryData<bool, bool, string?, string?, string?, string?> Rules => new()
    {
        { false, false, null, null, null, null },
        { false, false, "2020-01-01", null, null, null },
        { false, false, "2026-02-01", null, null, "price.first_in_future valid_from" },
        { true, false, null, null, null, null },
        { true, false, "2026-02-01", null, null, null },
        { true, false, "2026-01-31", null, null, "price.retroactive valid_from" },
        { true, false, null, "2026-03-01", null, "price.never_ends valid_until" },
        { true, true, null, null, null, null },
        { true, true, "2026-01-10", null, null, null },
        { true, true, "2026-01-10", null, "2026-01-01", null },
        { true, true, "2026-01-10", null, "2026-01-10", null },
        { true, true, "2026-01-10", null, "2026-01-11", "price.retroactive valid_from" },
        { true, true, "2026-02-10", "2026-03-01", "2026-01-11", null },
        { true, true, "2026-02-10", "2026-02-10", null, "price.ends_early valid_until" },
        { true, true, null, "2026-01-31", null, "price.ends_early valid_until" },
        { false, true, null, null, null, "price.key_unknown key" },
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void No_price_is_put_under_what_was_billed(
        bool inBook, bool isOverride, string? from, string? until, string? billedUntil, string? refused)
    {
        var price = new PublishPrice.NewPrice(
            "gpu-hour.h100", Currency.USD, 2.10m, At(from), isOverride ? TheTenant : null, At(until));

        var decision = PublishPrice.Decide(new(ThePrice, price, inBook, At(billedUntil), Noon), Price.Initial);

        (decision.Refusal is { } refusal ? $"{refusal.Code} {refusal.Field}" : null).ShouldBe(refused);
        decision.Events.Count.ShouldBe(refused is null ? 1 : 0);
    }

    [Fact]
    public void A_price_without_a_beginning_begins_now() =>
        PriceSpec.Given()
            .When(price => PublishPrice.Decide(
                new(ThePrice, new("gpu-hour.h100", Currency.USD, 2.10m), InBook: true, BilledUntil: null, Noon), price))
            .Then(PricePublished() with { ValidFrom = Noon });

    [Fact]
    public void The_same_request_again_is_the_same_price() =>
        PriceSpec.Given(PricePublished())
            .When(price => PublishPrice.Decide(
                new(ThePrice, new("gpu-hour.h100", Currency.USD, 3), InBook: true, BilledUntil: null, Noon), price))
            .ThenNothing();

    /// <summary>
    /// One line per case: the book and the overrides, each price as amount@from[-until], in the order of publication; and what February
    /// is cut into, as amount@from.
    /// </summary>
    public static TheoryData<string, string, string> Timelines => new()
    {
        { "2@2026-01-01", "", "2@2026-02-01" },
        { "2@2026-02-01", "", "2@2026-02-01" },
        { "2@2026-02-10", "", "2@2026-02-01" },
        { "2@2026-01-01 3@2026-02-10", "", "2@2026-02-01 3@2026-02-10" },
        { "3@2026-02-10 2@2026-01-01", "", "2@2026-02-01 3@2026-02-10" },
        { "2@2026-01-01 3@2026-02-10 4@2026-02-10", "", "2@2026-02-01 4@2026-02-10" },
        { "2@2026-01-01 3@2026-03-01", "", "2@2026-02-01" },
        { "2@2026-01-01 3@2026-01-15", "", "3@2026-02-01" },
        { "2@2026-01-01", "1@2026-02-10", "2@2026-02-01 1@2026-02-10" },
        { "2@2026-01-01", "1@2026-01-10", "1@2026-02-01" },
        { "2@2026-01-01", "1@2026-02-10-2026-02-20", "2@2026-02-01 1@2026-02-10 2@2026-02-20" },
        { "2@2026-01-01 3@2026-02-15", "1@2026-02-10-2026-02-20", "2@2026-02-01 1@2026-02-10 3@2026-02-20" },
        { "2@2026-01-01", "1@2026-01-10 5@2026-02-05-2026-02-06", "1@2026-02-01 5@2026-02-05 2@2026-02-06" },
        { "2@2026-01-01", "1@2026-01-10-2026-01-20", "2@2026-02-01" },
        { "2@2026-01-01", "1@2026-01-10-2026-02-01", "2@2026-02-01" },
    };

    [Theory]
    [MemberData(nameof(Timelines))]
    public void A_time_is_cut_where_another_price_begins_to_hold(string book, string overrides, string cut)
    {
        var timeline = new PriceTimeline(Prices(book), Prices(overrides));

        var parts = timeline.Cut(new(FirstOfFebruary, FirstOfMarch));

        string.Join(' ', parts.Select(part => $"{timeline.At(part.Start).UnitAmount}@{Day(part.Start)}")).ShouldBe(cut);
        parts[^1].End.ShouldBe(FirstOfMarch);
        parts.Zip(parts.Skip(1)).ShouldAllBe(pair => pair.First.End == pair.Second.Start);
    }

    private static BookedPrice[] Prices(string text) =>
    [
        .. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select((price, index) =>
        {
            var (amount, valid) = (price[..price.IndexOf('@')], price[(price.IndexOf('@') + 1)..]);
            return new BookedPrice(
                PriceId.New(), decimal.Parse(amount, CultureInfo.InvariantCulture), At(valid[..10])!.Value,
                valid.Length > 10 ? At(valid[11..]) : null, Noon + Duration.FromMinutes(index));
        }),
    ];

    private static Instant? At(string? day) =>
        day is null ? null : LocalDatePattern.Iso.Parse(day).Value.AtMidnight().InUtc().ToInstant();

    private static string Day(Instant at) => LocalDatePattern.Iso.Format(at.InUtc().Date);
}
