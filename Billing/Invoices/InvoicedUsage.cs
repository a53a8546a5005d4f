using System.Runtime.CompilerServices;
using System.Text.Json;
using NodaTime;
using Npgsql;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Contracts.Verification;

namespace Platform.Billing.Invoices;

/// <summary>An event type that a plan of the subscription bills, and when.</summary>
public sealed record BilledType(string Type, Instant Since, Instant Until);

/// <summary>
/// Which usage events one invoice counts: those of its period that the ledger knew when it closed; those of earlier periods that the
/// ledger learned of after the close before; and those that an earlier invoice counts and that were corrected since.
/// </summary>
/// <param name="Types">Oldest plan first. What the charges of the subscription's plans read; usage of other times is on no invoice.</param>
/// <param name="After">The ledger position of the close before.</param>
/// <param name="Through">The ledger position of this one.</param>
public sealed record InvoicedUsage(IReadOnlyList<BilledType> Types, BillingPeriod Period, long After, long Through)
{
    /// <summary>One event that the invoice counts, with the corrections that it counts.</summary>
    public sealed record Leaf(
        long Position, string Source, string Id, byte[] ContentHash, bool BilledBefore, List<CountedCorrection> Corrections)
    {
        public byte[] Hash() => UsageLeaf.Hash(Source, Id, ContentHash, BilledBefore, Corrections);
    }

    private const string InPlan =
        """
        exists (select from unnest($2, $3, $10) billed (type, since, until)
                where billed.type = event.type and event.time >= since and event.time < until)
        """;

    // A branch for each of the three, so that each finds its events by an index of its own.
    private const string Counted =
        $"""
        with counted as (
            select position, source, id, content_hash, false as billed_before from billing.usage_events event
            where tenant_id = $1 and type = any ($2) and time >= $4 and time < $5 and position <= $7 and {InPlan}
            union all
            select position, source, id, content_hash, false from billing.usage_events event
            where tenant_id = $1 and type = any ($2) and time >= $3[1] and time < $4 and position > $6 and position <= $7 and {InPlan}
            union all
            select position, source, id, content_hash, true from billing.usage_events event
            where tenant_id = $1 and type = any ($2) and time >= $3[1] and time < $4 and position <= $6 and {InPlan}
              and (source, id) in (
                  select source, event_id from billing.usage_corrections
                  where tenant_id = $1 and type = any ($2) and time >= $3[1] and time < $4 and position > $6 and position <= $7)
        )
        select counted.position, counted.source, counted.id, content_hash, billed_before,
               correction.id, reason, actor, corrected_at, before, after
        from counted
        left join billing.usage_corrections correction
          on correction.tenant_id = $1 and correction.source = counted.source and event_id = counted.id
         and correction.position > case when billed_before then $6 else 0 end and correction.position <= $7
        where counted.position >= $8 and counted.position <= $9
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
            Sql.P(tenant.Value), Sql.P([.. Types.Select(it => it.Type)]), Sql.P([.. Types.Select(it => it.Since)]),
            Sql.P(Period.Start), Sql.P(Period.End), Sql.P(After), Sql.P(Through), Sql.P(from), Sql.P(to),
            Sql.P([.. Types.Select(it => it.Until)]));
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

    private static CountedCorrection Correction(NpgsqlDataReader row) => new(
        row.GetGuid(5), row.GetString(6), row.GetString(7), row.Instant(8), Data(row.GetString(9)),
        row.IsDBNull(10) ? null : Data(row.GetString(10)));

    private static Dictionary<string, string> Data(string json) =>
        JsonSerializer.Deserialize(json, BillingJson.Default.DictionaryStringString)!;
}
