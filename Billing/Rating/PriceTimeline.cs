using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Rating;

/// <summary>One price of the book: what a unit costs from an instant on, until the next one begins.</summary>
/// <param name="UnitAmount">Exact, in major units.</param>
/// <param name="ValidFrom">Included.</param>
/// <param name="ValidUntil">Excluded; null where only the next one ends it.</param>
/// <param name="PublishedAt">Of two prices from one instant the one that was published later holds.</param>
public sealed record BookedPrice(PriceId PriceId, decimal UnitAmount, Instant ValidFrom, Instant? ValidUntil, Instant PublishedAt);

/// <summary>
/// The prices of one key in one currency for one tenant, and which of them holds when: the tenant's override, else the book's. The
/// book's first price holds since ever, so that no use is without a price. Pure.
/// </summary>
/// <param name="Book">At least one.</param>
public sealed record PriceTimeline(IReadOnlyList<BookedPrice> Book, IReadOnlyList<BookedPrice> Overrides)
{
    /// <summary>Of a charge whose prices are not looked up yet.</summary>
    public static readonly PriceTimeline Empty = new([], []);

    public BookedPrice At(Instant at) =>
        Newest(Overrides, at) is { } agreed && (agreed.ValidUntil is not { } end || at < end)
            ? agreed
            : Newest(Book, at) ?? Book.MinBy(price => (price.ValidFrom, price.PublishedAt))!;

    /// <summary>Parts of a time in each of which one price holds, in order, without gap or overlap.</summary>
    public IReadOnlyList<BillingPeriod> Cut(BillingPeriod time)
    {
        Instant[] bounds =
        [
            time.Start,
            .. Book.Concat(Overrides)
                .SelectMany(price => price.ValidUntil is { } end ? new[] { price.ValidFrom, end } : [price.ValidFrom])
                .Where(at => time.Start < at && at < time.End)
                .Distinct()
                .Order()
                .Where(at => At(at) != At(at - Duration.Epsilon)),
            time.End,
        ];
        return [.. bounds.Zip(bounds.Skip(1), (start, end) => new BillingPeriod(start, end))];
    }

    private static BookedPrice? Newest(IReadOnlyList<BookedPrice> prices, Instant at) =>
        prices.Where(price => price.ValidFrom <= at).MaxBy(price => (price.ValidFrom, price.PublishedAt));
}
