using System.Buffers.Binary;
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
    private readonly IReadOnlyList<UsageDelivery> deliveries;
    private readonly (int Chunk, int Row)[][] places;
    private readonly List<List<UsageRow>> chunks = [];

    /// <param name="chunkRows">How many rows a chunk has at most.</param>
    public UsageBatchRows(IReadOnlyList<UsageDelivery> deliveries, int chunkRows)
    {
        this.deliveries = deliveries;
        places = new (int, int)[deliveries.Count][];
        var size = Math.Min(chunkRows, deliveries.Sum(it => it.Entries.Length));
        var first = new Dictionary<(Guid, Guid), int>(size);
        for (var i = 0; i < deliveries.Count; i++)
        {
            var delivery = deliveries[i];
            places[i] = new (int, int)[delivery.Entries.Length];
            for (var j = 0; j < places[i].Length; j++)
            {
                if (chunks is not [.., var last] || last.Count == chunkRows)
                {
                    chunks.Add(new(size));
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

    public IReadOnlyList<IReadOnlyList<UsageRow>> Chunks => chunks;

    /// <param name="known">
    /// Of each chunk the content that the ledger had of each row before, null for what was new; null where all was.
    /// </param>
    public IReadOnlyList<UsageOutcome[]> Outcomes(IReadOnlyList<Guid?[]?> known) => Outcomes((chunk, row) => known[chunk]?[row]);

    /// <param name="known">The content that the ledger had of a row of a chunk before, null for what was new.</param>
    public IReadOnlyList<UsageOutcome[]> Outcomes(Func<int, int, Guid?> known)
    {
        var seen = chunks.ConvertAll(chunk => new bool[chunk.Count]);
        return [.. deliveries.Select((delivery, i) => delivery.Entries.Select((entry, j) =>
        {
            var (chunk, row) = places[i][j];
            var before = known(chunk, row);
            var isNew = before is null && !seen[chunk][row];
            seen[chunk][row] = true;
            return isNew ? UsageOutcome.Accepted
                : (before ?? chunks[chunk][row].Entry.Content) == entry.Content ? UsageOutcome.Duplicate
                : UsageOutcome.Conflict;
        }).ToArray())];
    }
}

internal readonly record struct UsageRow(UsageDelivery Delivery, UsageDelivery.Entry Entry);

/// <summary>Rows as one array per column.</summary>
internal sealed class UsageColumns(IReadOnlyList<UsageRow> rows)
{
    private const int RowsPerCut = 64;

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

    /// <summary>
    /// From which to which key each tenant's rows go, cut where the widest gaps are: an old event that is sent again among new ones makes
    /// no range of all that came between them.
    /// </summary>
    public (NpgsqlParameter Tenants, NpgsqlParameter Firsts, NpgsqlParameter Lasts) KeyRanges()
    {
        var keys = new Dictionary<Guid, List<UInt128>>();
        foreach (var (delivery, entry) in rows)
        {
            ref var ofTenant = ref CollectionsMarshal.GetValueRefOrAddDefault(keys, delivery.TenantId, out _);
            (ofTenant ??= []).Add(Number(entry.Key));
        }

        foreach (var ofTenant in keys.Values)
            ofTenant.Sort();
        var cuts = rows.Count / RowsPerCut;
        var widest = cuts == 0 ? UInt128.MaxValue : keys.Values.SelectMany(Gaps).OrderDescending().Skip(cuts - 1).FirstOrDefault();

        var (tenants, firsts, lasts) = (new List<Guid>(), new List<Guid>(), new List<Guid>());
        foreach (var (tenant, ofTenant) in keys)
        {
            for (var i = 0; i < ofTenant.Count; i++)
            {
                if (i > 0 && ofTenant[i] - ofTenant[i - 1] < widest)
                {
                    lasts[^1] = Key(ofTenant[i]);
                    continue;
                }

                tenants.Add(tenant);
                firsts.Add(Key(ofTenant[i]));
                lasts.Add(Key(ofTenant[i]));
            }
        }

        return (Sql.P([.. tenants]), Sql.P([.. firsts]), Sql.P([.. lasts]));

        static IEnumerable<UInt128> Gaps(List<UInt128> sorted) => sorted.Skip(1).Zip(sorted, (next, before) => next - before);
    }

    // PostgreSQL compares keys by their bytes in order.
    public static UInt128 Number(Guid key)
    {
        Span<byte> bytes = stackalloc byte[16];
        key.TryWriteBytes(bytes, bigEndian: true, out _);
        return BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    private static Guid Key(UInt128 number)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, number);
        return new(bytes, bigEndian: true);
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
