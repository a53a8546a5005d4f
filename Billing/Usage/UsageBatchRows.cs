using System.Runtime.InteropServices;
using Npgsql;
using NpgsqlTypes;

namespace Platform.Billing.Usage;

/// <summary>
/// The rows of several deliveries in chunks, each identity once in a chunk: the first of equal ones goes to the database and judges the
/// others. In a later chunk the database knows it by then.
/// </summary>
internal sealed class UsageBatchRows
{
    // PostgreSQL holds the arrays of a call in memory up to its work_mem, and writes larger ones to disk before it reads them. Here it
    // keeps all that is made for a chunk out of the large object heap, whose collections stop everybody. A call has 1,024 positions to give.
    private const int ChunkRows = 1_000;

    private readonly IReadOnlyList<UsageDelivery> deliveries;
    private readonly (int Chunk, int Row)[][] places;
    private readonly List<List<UsageRow>> chunks = [];

    public UsageBatchRows(IReadOnlyList<UsageDelivery> deliveries)
    {
        this.deliveries = deliveries;
        places = new (int, int)[deliveries.Count][];
        var first = new Dictionary<(Guid, Guid), int>();
        for (var i = 0; i < deliveries.Count; i++)
        {
            var delivery = deliveries[i];
            places[i] = new (int, int)[delivery.Entries.Length];
            for (var j = 0; j < places[i].Length; j++)
            {
                if (chunks is not [.., { Count: < ChunkRows }])
                {
                    chunks.Add([]);
                    first.Clear();
                }

                var (chunk, entry) = (chunks[^1], delivery.Entries[j]);
                ref var row = ref CollectionsMarshal.GetValueRefOrAddDefault(first, (delivery.TenantId, entry.Key), out var known);
                if (!known)
                {
                    row = chunk.Count;
                    chunk.Add(new(delivery, entry));
                }

                places[i][j] = (chunks.Count - 1, row);
            }
        }
    }

    public bool IsEmpty => chunks.Count == 0;

    public IEnumerable<UsageColumns> Chunks() => chunks.Select(chunk => new UsageColumns(chunk));

    /// <param name="known">
    /// Of each chunk the content that the ledger had of each row before, null for what was new; null where all was.
    /// </param>
    public IReadOnlyList<UsageOutcome[]> Outcomes(IReadOnlyList<Guid?[]?> known)
    {
        var seen = chunks.ConvertAll(chunk => new bool[chunk.Count]);
        return [.. deliveries.Select((delivery, i) => delivery.Entries.Select((entry, j) =>
        {
            var (chunk, row) = places[i][j];
            var before = known[chunk]?[row];
            var isNew = before is null && !seen[chunk][row];
            seen[chunk][row] = true;
            return isNew ? UsageOutcome.Accepted
                : (before ?? chunks[chunk][row].Entry.Content) == entry.Content ? UsageOutcome.Duplicate
                : UsageOutcome.Conflict;
        }).ToArray())];
    }
}

internal readonly record struct UsageRow(UsageDelivery Delivery, UsageDelivery.Entry Entry);

/// <summary>Rows as one array per column. Keys are compared as PostgreSQL does, by their bytes in order: so does <see cref="Guid"/>.</summary>
internal sealed class UsageColumns(List<UsageRow> rows)
{
    public NpgsqlParameter Tenants => Column(row => row.Delivery.TenantId);
    public NpgsqlParameter Attempts => Column(row => row.Delivery.AttemptId);
    public NpgsqlParameter Keys => Column(row => row.Entry.Key);
    public NpgsqlParameter Contents => Column(row => row.Entry.Content);
    public NpgsqlParameter Times => Column(row => row.Entry.Event.Time.ToDateTimeUtc());
    public NpgsqlParameter Hashes => Column(row => row.Entry.Hash);
    public NpgsqlParameter Sources => Column(row => row.Entry.Event.Source);
    public NpgsqlParameter Ids => Column(row => row.Entry.Event.Id);
    public NpgsqlParameter Types => Column(row => row.Entry.Event.Type);
    public NpgsqlParameter Subjects => Column(row => row.Entry.Event.Subject);
    public NpgsqlParameter Datas => Column(row => row.Entry.Data, NpgsqlDbType.Array | NpgsqlDbType.Jsonb);

    /// <summary>From which to which key each tenant's rows go.</summary>
    public (NpgsqlParameter Tenants, NpgsqlParameter Firsts, NpgsqlParameter Lasts) KeyRanges()
    {
        var ranges = new Dictionary<Guid, (Guid First, Guid Last)>();
        foreach (var (delivery, entry) in rows)
        {
            ref var range = ref CollectionsMarshal.GetValueRefOrAddDefault(ranges, delivery.TenantId, out var known);
            if (!known)
                range = (entry.Key, entry.Key);
            else if (entry.Key.CompareTo(range.First) < 0)
                range.First = entry.Key;
            else if (entry.Key.CompareTo(range.Last) > 0)
                range.Last = entry.Key;
        }

        return (Values([.. ranges.Keys]), Values([.. ranges.Values.Select(it => it.First)]), Values([.. ranges.Values.Select(it => it.Last)]));

        static NpgsqlParameter<Guid[]> Values(Guid[] values) => new() { TypedValue = values };
    }

    private NpgsqlParameter<T[]> Column<T>(Func<UsageRow, T> value, NpgsqlDbType? type = null)
    {
        var column = new T[rows.Count];
        for (var i = 0; i < column.Length; i++)
            column[i] = value(rows[i]);
        var parameter = new NpgsqlParameter<T[]> { TypedValue = column };
        if (type is { } named)
            parameter.NpgsqlDbType = named;
        return parameter;
    }
}
