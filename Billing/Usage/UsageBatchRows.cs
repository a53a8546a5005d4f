using Npgsql;
using NpgsqlTypes;

namespace Platform.Billing.Usage;

/// <summary>The rows of several deliveries, each identity once: the first of equal ones goes to the database and judges the others.</summary>
internal sealed class UsageBatchRows
{
    // PostgreSQL holds the arrays of a call in memory up to its work_mem, and writes larger ones to disk before it reads them.
    private const int ChunkRows = 1_000;

    private readonly IReadOnlyList<UsageDelivery> deliveries;
    private readonly int[][] places;
    private readonly List<(UsageDelivery Delivery, UsageDelivery.Entry Entry)> rows = [];

    public UsageBatchRows(IReadOnlyList<UsageDelivery> deliveries)
    {
        this.deliveries = deliveries;
        places = new int[deliveries.Count][];
        var first = new Dictionary<(Guid, Guid), int>();
        for (var i = 0; i < deliveries.Count; i++)
        {
            var delivery = deliveries[i];
            places[i] = new int[delivery.Entries.Length];
            for (var j = 0; j < places[i].Length; j++)
            {
                var entry = delivery.Entries[j];
                if (first.TryAdd((delivery.TenantId, entry.Key), rows.Count))
                    rows.Add((delivery, entry));
                places[i][j] = first[(delivery.TenantId, entry.Key)];
            }
        }
    }

    public int Count => rows.Count;

    public IEnumerable<UsageColumns> Chunks() => rows.Chunk(ChunkRows).Select(chunk => new UsageColumns(chunk));

    /// <param name="known">The content that the ledger had of each row before, null for what was new.</param>
    public IReadOnlyList<UsageOutcome[]> Outcomes(Guid?[] known)
    {
        var seen = new bool[rows.Count];
        return [.. deliveries.Select((delivery, i) => delivery.Entries.Select((entry, j) =>
        {
            var place = places[i][j];
            var isNew = known[place] is null && !seen[place];
            seen[place] = true;
            return isNew ? UsageOutcome.Accepted
                : (known[place] ?? rows[place].Entry.Content) == entry.Content ? UsageOutcome.Duplicate
                : UsageOutcome.Conflict;
        }).ToArray())];
    }
}

/// <summary>Rows as one array per column.</summary>
internal sealed class UsageColumns((UsageDelivery Delivery, UsageDelivery.Entry Entry)[] rows)
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

    private NpgsqlParameter<T[]> Column<T>(
        Func<(UsageDelivery Delivery, UsageDelivery.Entry Entry), T> value, NpgsqlDbType? type = null)
    {
        var parameter = new NpgsqlParameter<T[]> { TypedValue = Array.ConvertAll(rows, row => value(row)) };
        if (type is { } named)
            parameter.NpgsqlDbType = named;
        return parameter;
    }
}
