using Npgsql;
using Platform.Billing.Rating;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Events by what a price reads of each. Roll-ups know sums alone, so these come from the ledger: the database puts equal events together,
/// and each group is tallied as it comes, so that nobody holds them all.
/// </summary>
internal sealed partial class Measurement
{
    /// <summary>What the events come to that count at the scope's position, over the whole of its time.</summary>
    public static Answer<IReadOnlyList<RatingStep>> Tally(RoundTrip together, MeasuredScope scope, EventPrices prices)
    {
        var it = new Measurement(scope);
        var sql = it.OfEqualEvents(prices);
        return together.Ask(
            sql,
            async (row, cancellation) =>
            {
                var tally = EventTally.By(prices.Price);
                while (await row.ReadAsync(cancellation))
                    tally.Add(new(Number(row, 0), Number(row, 1), row.GetInt64(2)));
                return tally.Steps();
            },
            [.. it.parameters]);
    }

    // Texts are put together first: to read them as numbers costs more than all else, and is done once for each that there is. A multiplier
    // that is no number leaves the event without a price, because 1 may be far from what was meant.
    private string OfEqualEvents(EventPrices prices) =>
        $"""
        with {Counted()}, {Measured()},
        texts as (
            select {columns.Text(prices.Amount)} as amount, {columns.Text(prices.Multiplier)} as multiplier, count(*) as events
            from measured group by 1, 2),
        numbers as (
            select {MeterColumns.QuantityOf("amount")} as amount, {MeterColumns.QuantityOf("multiplier")} as multiplier,
                   multiplier is not null as multiplied, events
            from texts offset 0),
        priced as (
            select case when multiplier is not null or not multiplied then amount end as amount, multiplier, events from numbers)
        select trim_scale(amount)::text, trim_scale(multiplier)::text, sum(events)::bigint from priced
        group by amount, multiplier order by amount nulls first, multiplier nulls first
        """;

    private static decimal? Number(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : Exact(row.GetString(column));
}
