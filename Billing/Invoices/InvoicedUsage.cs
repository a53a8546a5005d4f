using System.Runtime.CompilerServices;
using System.Text.Json;
using NodaTime;
using Npgsql;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Contracts.Verification;

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
        long Position, string Source, string Id, byte[] ContentHash, bool BilledBefore, List<CountedCorrection> Corrections)
    {
        public byte[] Hash() => UsageLeaf.Hash(Source, Id, ContentHash, BilledBefore, Corrections);
    }

    // A branch for each of the three, so that each finds its events by an index of its own.
    private const string Counted =
        """
        with billed as (
            select * from unnest($2, $3, $4, $5, $6, $7) as each (type, since, until, period_start, period_end, after)
        ), found as (
            select event.position, event.source, event.id, content_hash, false as billed_before, after
            from billed join billing.usage_events event
              on tenant_id = $1 and event.type = billed.type and time >= greatest(since, period_start)
             and time < least(until, period_end) and event.position <= $8
            union all
            select event.position, event.source, event.id, content_hash, false, after
            from billed join billing.usage_events event
              on tenant_id = $1 and event.type = billed.type and time >= since and time < least(until, period_start)
             and event.position > after and event.position <= $8
            union all
            select event.position, event.source, event.id, content_hash, true, billed.after
            from billed
            join billing.usage_corrections correction
              on correction.tenant_id = $1 and correction.type = billed.type and correction.time >= since
             and correction.time < least(until, period_start) and correction.position > billed.after and correction.position <= $8
            join billing.usage_events event
              on event.tenant_id = $1 and event.source = correction.source and event.id = correction.event_id
             and event.time = correction.time and event.position <= billed.after
        ), counted as (
            select position, source, id, content_hash, bool_and(billed_before) as billed_before, min(after) as after
            from found where position >= $9 and position <= $10
            group by position, source, id, content_hash
        )
        select counted.position, counted.source, counted.id, content_hash, billed_before,
               correction.id, reason, actor, corrected_at, before, after_correction
        from counted
        left join lateral (
            select correction.position, correction.id, reason, actor, corrected_at, before, correction.after as after_correction
            from billing.usage_corrections correction
            where correction.tenant_id = $1 and correction.source = counted.source and event_id = counted.id
              and correction.position > case when billed_before then counted.after else 0 end and correction.position <= $8
        ) correction on true
        order by counted.position, correction.position
        """;

    /// <summary>The leaves of the invoice's tree in the order of the ledger, read as they are asked for.</summary>
    /// <param name="from">The first ledger position to read.</param>
    /// <param name="to">The last one.</param>
    public async IAsyncEnumerable<Leaf> Leaves(
        NpgsqlConnection connection, TenantId tenant, long from, long to, [EnumeratorCancellation] CancellationToken cancellation)
    {
        await using var command = connection.Command(
            Counted,
            [Sql.P(tenant.Value), .. Columns(), Sql.P(Through), Sql.P(from), Sql.P(to)]);
        command.CommandTimeout = 0; // many events are sorted before the first row comes
        await using var row = await command.ExecuteReaderAsync(cancellation);
        Leaf? leaf = null;
        while (await row.ReadAsync(cancellation))
        {
            if (leaf?.Position != row.GetInt64(0))
            {
                if (leaf is not null)
                    yield return leaf;
                leaf = new(row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetFieldValue<byte[]>(3), row.GetBoolean(4), []);
            }

            if (!row.IsDBNull(5))
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
        row.GetGuid(5), row.GetString(6), row.GetString(7), row.Instant(8), Data(row.GetString(9)),
        row.IsDBNull(10) ? null : Data(row.GetString(10)));

    private static Dictionary<string, string> Data(string json) =>
        JsonSerializer.Deserialize(json, BillingJson.Default.DictionaryStringString)!;
}
