using NodaTime;
using Npgsql;

namespace Platform.EventStore;

/// <summary>What the SQL function <c>append</c> answered.</summary>
/// <param name="Heads">By lane: the last number before these writes; null for a lane that had none.</param>
/// <param name="Times">By lane: when they were recorded.</param>
/// <param name="Failed">Zero-based places of the writes that met another version; one for each stale stream.</param>
/// <param name="Stale">Zero-based places of those streams among the streams of all the writes.</param>
internal sealed record AppendAnswer(long?[] Heads, DateTime?[] Times, int[] Failed, int[] Stale)
{
    public static AppendAnswer Read(NpgsqlDataReader reader) =>
        new(reader.GetFieldValue<long?[]>(0), reader.GetFieldValue<DateTime?[]>(1), Places(reader, 2), Places(reader, 3));

    public Instant TimeOf(short lane) => Instant.FromDateTimeUtc(Times[lane]!.Value);

    public VersionConflictException Conflict(IReadOnlyList<PreparedWrite> writes, int failed)
    {
        var stale = writes.SelectMany(write => write.Appends).ElementAt(Stale[Array.IndexOf(Failed, failed)]);
        return new(stale.Stream, stale.ExpectedVersion);
    }

    /// <summary>Where each write's last event stands; null for a write that failed.</summary>
    public LanePosition?[] Positions(Database database, IReadOnlyList<PreparedWrite> writes)
    {
        var heads = (long?[])Heads.Clone();
        var positions = new LanePosition?[writes.Count];
        for (var i = 0; i < positions.Length; i++)
        {
            if (Failed.Length > 0 && Failed.Contains(i))
                continue;
            var lane = database.LaneOf(writes[i].TenantId);
            foreach (var append in writes[i].Appends)
                heads[lane] += append.Events.Length;
            positions[i] = new(lane, heads[lane]!.Value);
        }
        return positions;
    }

    private static int[] Places(NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? [] : [.. reader.GetFieldValue<int[]>(column).Select(place => place - 1)];
}
