using System.Runtime.CompilerServices;
using System.Text.Json;
using NodaTime;
using Npgsql;
using NpgsqlTypes;
using Platform.Billing.Subscriptions;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>An event type that a plan of a subscription bills, and when.</summary>
/// <param name="Since">When the plan began to run.</param>
/// <param name="Until">When it ended, or the period that is invoiced does.</param>
/// <param name="Period">The subscription's period that is invoiced; without length where only late usage is.</param>
/// <param name="After">The ledger position of the subscription's close before.</param>
public sealed record BilledType(string Type, Instant Since, Instant Until, BillingPeriod Period, long After);

/// <summary>
/// Which usage events one invoice counts: those of its periods that the ledger knew when they closed; those of earlier periods that
/// the ledger learned of after the close before; and those that an earlier invoice counts and that were corrected since. An event is
/// counted once, however many charges read it.
/// </summary>
/// <param name="Types">What the charges of the subscriptions' plans read; usage of other times is on no invoice.</param>
/// <param name="Through">The ledger position of this close.</param>
public sealed record InvoicedUsage(IReadOnlyList<BilledType> Types, long Through)
{
    /// <summary>One event that the invoice counts, with the corrections that it counts.</summary>
    public sealed record Leaf(
        string Type, Instant Hour, long Position, string Source, string Id, byte[] ContentHash, bool BilledBefore,
        List<CountedCorrection> Corrections)
    {
        public byte[] Hash() => UsageLeaf.Hash(Source, Id, ContentHash, BilledBefore, Corrections);
    }

    // A branch for each of the three, so that each finds its events by an index of its own.
    private const string Counted =
        """
        with billed as (
            select * from unnest($2, $3, $4, $5, $6, $7) as each (type, since, until, period_start, period_end, after)
        ), found as (
            select event.type, event.time, event.position, event.source, event.id, content_hash, false as billed_before, after
            from billed join billing.usage_events event
              on tenant_id = $1 and event.type = billed.type and time >= greatest(since, period_start)
             and time < least(until, period_end) and event.position <= $8
            union all
            select event.type, event.time, event.position, event.source, event.id, content_hash, false, after
            from billed join billing.usage_events event
              on tenant_id = $1 and event.type = billed.type and time >= since and time < least(until, period_start)
             and event.position > after and event.position <= $8
            union all
            select event.type, event.time, event.position, event.source, event.id, content_hash, true, billed.after
            from billed
            join billing.usage_corrections correction
              on correction.tenant_id = $1 and correction.type = billed.type and correction.time >= since
             and correction.time < least(until, period_start) and correction.position > billed.after and correction.position <= $8
            join billing.usage_events event
              on event.tenant_id = $1 and event.source = correction.source and event.id = correction.event_id
             and event.time = correction.time and event.position <= billed.after
        ), counted as (
            select type, date_bin('1 hour', time, 'epoch') as hour, position, source, id, content_hash,
                   bool_and(billed_before) as billed_before, min(after) as after
            from found
            where $9 is null
               or time >= $11 and time < $12 and (type, date_bin('1 hour', time, 'epoch')) in (select * from unnest($9, $10))
            group by type, time, position, source, id, content_hash
        )
        select counted.type, counted.hour, counted.position, counted.source, counted.id, content_hash, billed_before,
               correction.id, reason, actor, corrected_at, before, after_correction
        from counted
        left join lateral (
            select correction.position, correction.id, reason, actor, corrected_at, before, correction.after as after_correction
            from billing.usage_corrections correction
            where correction.tenant_id = $1 and correction.source = counted.source and event_id = counted.id
              and correction.position > case when billed_before then counted.after else 0 end and correction.position <= $8
        ) correction on true
        order by counted.type collate "C", counted.hour, counted.position, correction.position
        """;

    // Hours of types of which something is counted. Those that lie wholly in a period, and of which nothing was corrected, count all that
    // the ledger has of them; of the others each event is looked at: where a period begins or ends, what came late, what was corrected. What
    // is found for several subscriptions, or reasons, comes as often.
    private const string Hours =
        """
        with billed as (
            select *, greatest(since, period_start) as starts, least(until, period_end) as ends, least(until, period_start) as late_until
            from unnest($2, $3, $4, $5, $6, $7) as each (type, since, until, period_start, period_end, after)
        ), corrected as materialized (
            select type, date_bin('1 hour', time, 'epoch') as hour, max(position) as position from billing.usage_corrections
            where tenant_id = $1 and type = any ($2) and position <= $8 group by 1, 2
        ), whole as (
            select seal.type, seal.hour, seal.first_position, seal.size, seal.peaks
            from billed join billing.usage_seals seal
              on seal.tenant_id = $1 and seal.type = billed.type and seal.hour >= starts and seal.hour <= ends - interval '1 hour'
            where not exists (select from corrected where corrected.type = seal.type and corrected.hour = seal.hour)
        ), looked_at as (
            select seal.type, seal.hour
            from billed, date_bin('1 hour', starts, 'epoch') first, date_bin('1 hour', ends, 'epoch') last,
                 billing.usage_seals seal
            where starts < ends and seal.tenant_id = $1 and seal.type = billed.type and seal.hour in (first, last) and seal.part = 0
              and seal.hour < ends
            union all
            select seal.type, seal.hour
            from billed join billing.usage_seals seal
              on seal.tenant_id = $1 and seal.type = billed.type and seal.last_position > after
             and seal.hour > since - interval '1 hour' and seal.hour < late_until
            union all
            select corrected.type, corrected.hour
            from billed join corrected
              on corrected.type = billed.type
             and (corrected.hour > starts - interval '1 hour' and corrected.hour < ends
                  or corrected.position > after and corrected.hour > since - interval '1 hour' and corrected.hour < late_until)
        )
        select type, hour, first_position, size, peaks from whole
        union all
        select type, hour, null, null, null from looked_at
        """;

    /// <param name="Seal">What is bound of it already; null where the events of the hour are to be looked at.</param>
    public sealed record CountedHour(string Type, Instant Hour, SealedPart? Seal);

    public sealed record SealedPart(long FirstPosition, int Size, byte[] Root);

    /// <summary>The hours that something is counted of, each part of them, in the order of the tree. Read where the ledger is bound to its end.</summary>
    public async Task<IReadOnlyList<CountedHour>> CountedHours(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        var hours = together.Rows(
            Hours,
            row => new CountedHour(row.GetString(0), row.Instant(1), row.IsDBNull(2) ? null : new(
                row.GetInt64(2), row.GetInt32(3), new GrowingMerkleTree(row.GetInt32(3), SealUsage.Peaks(row.GetFieldValue<byte[]>(4))).Root())),
            [Sql.P(tenant.Value), .. Columns(), Sql.P(Through)]);
        await together.Send(cancellation);

        var whole = hours.Value.Where(it => it.Seal is not null).DistinctBy(it => (it.Type, it.Hour, it.Seal!.FirstPosition)).ToList();
        var isWhole = whole.Select(it => (it.Type, it.Hour)).ToHashSet();
        return
        [
            .. whole.Concat(hours.Value.Where(it => it.Seal is null && !isWhole.Contains((it.Type, it.Hour))).Distinct())
                .OrderBy(it => it.Type, StringComparer.Ordinal).ThenBy(it => it.Hour).ThenBy(it => it.Seal?.FirstPosition),
        ];
    }

    /// <summary>The leaves of the invoice's tree in its order, read as they are asked for.</summary>
    /// <param name="hours">Only those of these hours of these types; null for all.</param>
    public async IAsyncEnumerable<Leaf> Leaves(
        NpgsqlConnection connection, TenantId tenant, IReadOnlyList<(string Type, Instant Hour)>? hours,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var command = connection.Command(
            Counted,
            [
                Sql.P(tenant.Value), .. Columns(), Sql.P(Through),
                new() { Value = hours is null ? DBNull.Value : hours.Select(it => it.Type).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text },
                new() { Value = hours is null ? DBNull.Value : hours.Select(it => it.Hour.ToDateTimeUtc()).ToArray(), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz },
                Sql.Optional(hours?.Min(it => it.Hour)), Sql.Optional(hours?.Max(it => it.Hour) + Duration.FromHours(1)),
            ]);
        command.CommandTimeout = 0; // many events are sorted before the first row comes
        await using var row = await command.ExecuteReaderAsync(cancellation);
        Leaf? leaf = null;
        while (await row.ReadAsync(cancellation))
        {
            if (leaf?.Position != row.GetInt64(2))
            {
                if (leaf is not null)
                    yield return leaf;
                leaf = new(
                    row.GetString(0), row.Instant(1), row.GetInt64(2), row.GetString(3), row.GetString(4), row.GetFieldValue<byte[]>(5),
                    row.GetBoolean(6), []);
            }

            if (!row.IsDBNull(7))
                leaf.Corrections.Add(Correction(row));
        }

        if (leaf is not null)
            yield return leaf;
    }

    /// <summary>The types as columns: type, since, until, period_start, period_end, after.</summary>
    internal NpgsqlParameter[] Columns() =>
    [
        Sql.P([.. Types.Select(it => it.Type)]), Sql.P([.. Types.Select(it => it.Since)]), Sql.P([.. Types.Select(it => it.Until)]),
        Sql.P([.. Types.Select(it => it.Period.Start)]), Sql.P([.. Types.Select(it => it.Period.End)]),
        new NpgsqlParameter<long[]> { TypedValue = [.. Types.Select(it => it.After)] },
    ];

    private static CountedCorrection Correction(NpgsqlDataReader row) => new(
        row.GetGuid(7), row.GetString(8), row.GetString(9), row.Instant(10), Data(row.GetString(11)),
        row.IsDBNull(12) ? null : Data(row.GetString(12)));

    private static Dictionary<string, string> Data(string json) =>
        JsonSerializer.Deserialize(json, BillingJson.Default.DictionaryStringString)!;
}
