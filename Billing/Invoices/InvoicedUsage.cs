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
public sealed record BilledType(string Type, Instant Since, Instant Until, BillingPeriod Period, long After)
{
    private static readonly Duration hourLength = Duration.FromHours(1);

    /// <summary>Where use on time begins that is billed.</summary>
    public Instant Starts => Instant.Max(Since, Period.Start);

    public Instant Ends => Instant.Min(Until, Period.End);

    /// <summary>Where use ends that is billed only if it was late.</summary>
    public Instant LateUntil => Instant.Min(Until, Period.Start);

    /// <summary>Whether all of the hour is on time.</summary>
    public bool HasWhole(Instant hour) => hour >= Starts && hour + hourLength <= Ends;

    /// <summary>Whether some of the hour is on time.</summary>
    public bool Touches(Instant hour) => hour + hourLength > Starts && hour < Ends;

    /// <summary>Whether some of the hour is billed if it was late.</summary>
    public bool TouchesLate(Instant hour) => hour + hourLength > Since && hour < LateUntil;
}

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

    /// <param name="Seal">What is bound of it already; null where the events of the hour are to be looked at.</param>
    public sealed record CountedHour(string Type, Instant Hour, SealedPart? Seal);

    public sealed record SealedPart(long FirstPosition, int Size, byte[] Root);

    private sealed record BoundHour(bool IsLate, Instant Hour, SealedPart? Seal);

    private sealed record CorrectedHour(Instant Hour, long Position);

    // Parts of the hours that the periods touch, and hours of earlier time to which something was added.
    private static readonly SharedQuery<(TenantId Tenant, BilledType Of), BoundHour> boundHours = new(
        """
        with asked as materialized (
            select * from unnest($1, $2, $3, $4, $5, $6, $7) with ordinality
                each (tenant_id, type, starts, ends, since, until, after, place))
        select place, false, hour, first_position, size, peaks
        from asked join billing.usage_seals seal
          on seal.tenant_id = asked.tenant_id and seal.type = asked.type and starts < ends
         and hour > starts - interval '1 hour' and hour < ends
        union all
        select place, true, hour, null, null, null
        from asked join billing.usage_seals seal
          on seal.tenant_id = asked.tenant_id and seal.type = asked.type and since < until and last_position > after
         and hour > since - interval '1 hour' and hour < until
        """,
        asked =>
        [
            Sql.P([.. asked.Select(it => it.Tenant.Value)]), Sql.P([.. asked.Select(it => it.Of.Type)]),
            Sql.P([.. asked.Select(it => it.Of.Starts)]), Sql.P([.. asked.Select(it => it.Of.Ends)]),
            Sql.P([.. asked.Select(it => it.Of.Since)]), Sql.P([.. asked.Select(it => it.Of.LateUntil)]),
            Sql.P([.. asked.Select(it => it.Of.After)]),
        ],
        row => new(row.GetBoolean(1), row.Instant(2), row.IsDBNull(3) ? null : Seal(row)));

    // Hours of which something was corrected, and the last position at which that was.
    private static readonly SharedQuery<(TenantId Tenant, BilledType Of, long Through), CorrectedHour> correctedHours = new(
        """
        select place, date_bin('1 hour', time, 'epoch'), max(position)
        from unnest($1, $2, $3) with ordinality asked (tenant_id, type, through, place)
        join billing.usage_corrections correction
          on correction.tenant_id = asked.tenant_id and correction.type = asked.type and position <= through
        group by 1, 2
        """,
        asked =>
        [
            Sql.P([.. asked.Select(it => it.Tenant.Value)]), Sql.P([.. asked.Select(it => it.Of.Type)]),
            Sql.P([.. asked.Select(it => it.Through)]),
        ],
        row => new(row.Instant(1), row.GetInt64(2)));

    /// <summary>
    /// The hours that something is counted of, in the order of the tree. Those that lie wholly in a period, and of which nothing was
    /// corrected, count each part that the ledger has of them; of the others each event is to be looked at: where a period begins or ends,
    /// what came late, what was corrected. Read where the ledger is bound to its end.
    /// </summary>
    /// <returns>To be called once all that was asked is sent.</returns>
    public Func<IReadOnlyList<CountedHour>> CountedHours(RoundTrip together, TenantId tenant)
    {
        var asked = Types
            .Select(of => (
                Of: of, Bound: together.Ask(boundHours, (tenant, of)), Corrected: together.Ask(correctedHours, (tenant, of, Through))))
            .ToList();
        return () => HoursOf([.. asked.Select(it => (it.Of, it.Bound.Value, it.Corrected.Value))]);
    }

    private static IReadOnlyList<CountedHour> HoursOf(
        IReadOnlyList<(BilledType Of, IReadOnlyList<BoundHour> Bound, IReadOnlyList<CorrectedHour> Corrected)> found)
    {
        var corrected = found.SelectMany(it => it.Corrected, (it, change) => (it.Of.Type, change.Hour)).ToHashSet();
        var hours = found
            .SelectMany(it => it.Bound, (it, bound) => new CountedHour(
                it.Of.Type, bound.Hour,
                !bound.IsLate && it.Of.HasWhole(bound.Hour) && !corrected.Contains((it.Of.Type, bound.Hour)) ? bound.Seal : null))
            .Concat(
                from it in found
                from change in it.Corrected
                where it.Of.Touches(change.Hour) || (change.Position > it.Of.After && it.Of.TouchesLate(change.Hour))
                select new CountedHour(it.Of.Type, change.Hour, Seal: null))
            .ToLookup(it => it.Seal is not null);

        // What is found for several subscriptions, or reasons, comes as often.
        var whole = hours[true].DistinctBy(it => (it.Type, it.Hour, it.Seal!.FirstPosition)).ToList();
        var isWhole = whole.Select(it => (it.Type, it.Hour)).ToHashSet();
        return
        [
            .. whole.Concat(hours[false].Where(it => !isWhole.Contains((it.Type, it.Hour))).Distinct())
                .OrderBy(it => it.Type, StringComparer.Ordinal).ThenBy(it => it.Hour).ThenBy(it => it.Seal?.FirstPosition),
        ];
    }

    private static SealedPart Seal(NpgsqlDataReader row)
    {
        var size = row.GetInt32(4);
        return new(row.GetInt64(3), size, new GrowingMerkleTree(size, SealUsage.Peaks(row.GetFieldValue<byte[]>(5))).Root());
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
