using NodaTime;
using Npgsql;

namespace Platform.EventStore;

/// <summary>What the SQL function <c>append</c> answered.</summary>
/// <param name="Lanes">The lanes that were appended to, ascending.</param>
/// <param name="Heads">For each of them the last number before these writes.</param>
/// <param name="Times">For each of them when they were recorded.</param>
/// <param name="Failed">Zero-based places of the writes that met another version; one for each stale stream.</param>
/// <param name="Stale">For each of them the stream.</param>
internal sealed record AppendAnswer(short[] Lanes, long[] Heads, DateTime[] Times, int[] Failed, PreparedAppend[] Stale)
{
    /// <param name="checked">The streams whose versions were looked at, in the command's order.</param>
    public static AppendAnswer Read(NpgsqlDataReader reader, short[] lanes, IReadOnlyList<PreparedAppend> @checked) =>
        new(
            lanes, reader.GetFieldValue<long[]>(0), reader.GetFieldValue<DateTime[]>(1), Places(reader, 2),
            [.. Places(reader, 3).Select(place => @checked[place])]);

    public Instant TimeOf(short lane) => Instant.FromDateTimeUtc(Times[Array.IndexOf(Lanes, lane)]);

    public VersionConflictException Conflict(int failed)
    {
        var stale = Stale[Array.IndexOf(Failed, failed)];
        return new(stale.Stream, stale.ExpectedVersion);
    }

    /// <summary>Where each write's last event stands; null for a write that failed.</summary>
    public LanePosition?[] Positions(Database database, IReadOnlyList<PreparedWrite> writes)
    {
        var numbers = (long[])Heads.Clone();
        var positions = new LanePosition?[writes.Count];
        for (var i = 0; i < positions.Length; i++)
        {
            if (Failed.Length > 0 && Failed.Contains(i))
                continue;
            var lane = database.LaneOf(writes[i].TenantId);
            ref var number = ref numbers[Array.IndexOf(Lanes, lane)];
            foreach (var append in writes[i].Appends)
                number += append.Events.Length;
            positions[i] = new(lane, number);
        }
        return positions;
    }

    private static int[] Places(NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? [] : [.. reader.GetFieldValue<int[]>(column).Select(place => place - 1)];
}
