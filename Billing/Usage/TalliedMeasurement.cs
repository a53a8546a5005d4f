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

    private string OfEqualEvents(EventPrices prices)
    {
        var (amount, multiplier) = (columns.Quantity(prices.Amount), columns.Quantity(prices.Multiplier));
        // Where there is a multiplier but no number, the event has no price: 1 may be far from what was meant.
        if (prices is { Amount: not null, Multiplier: { } member })
            amount = $"case when data ->> {Add(Sql.P(member))} is null or {multiplier} is not null then {amount} end";
        return
            $"""
            with {Counted()}, {Measured()},
            priced as (select {amount} as amount, {multiplier} as multiplier from measured offset 0)
            select trim_scale(amount)::text, trim_scale(multiplier)::text, count(*) from priced
            group by amount, multiplier order by amount nulls first, multiplier nulls first
            """;
    }

    private static decimal? Number(NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : Exact(row.GetString(column));
}
