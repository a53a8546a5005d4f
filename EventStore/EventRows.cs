using NodaTime;
using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>Rows of the events table, as queries and as objects.</summary>
internal sealed class EventRows(Database database, EventTypes events)
{
    public const string Columns =
        "tenant_id, stream_type, stream_id, version, lane, number, type, data, recorded_at, correlation_id, causation_id, actor";

    public const string FoldColumns = "type, data";

    public string Schema => database.Schema;

    public const string OfStream = "tenant_id = $1 and stream_type = $2 and stream_id = $3";

    public NpgsqlBatch Read(StreamId stream, long afterVersion, Instant? asOf, string columns)
    {
        var sql = $"select {columns} from {database.Schema}.events where {OfStream} and version > $4";
        return asOf is { } instant
            ? database.SettledTenantRead(
                stream.TenantId, $"{sql} and recorded_at <= $5 order by version",
                Value(stream.TenantId), Text(stream.Type), Value(stream.Id), Value(afterVersion), Instant(instant))
            : database.TenantRead(
                stream.TenantId, $"{sql} order by version",
                Value(stream.TenantId), Text(stream.Type), Value(stream.Id), Value(afterVersion));
    }

    /// <summary>Whole streams, for a transaction that sees their tenants' rows.</summary>
    public SharedQuery<StreamId, (string Type, byte[] Data)> OfStreams { get; } = new(
        $"""
        select place, type, data
        from unnest($1, $2, $3) with ordinality asked (tenant_id, stream_type, stream_id, place)
        cross join lateral (
            select version, type, data from {database.Schema}.events event
            where event.tenant_id = asked.tenant_id and event.stream_type = asked.stream_type and event.stream_id = asked.stream_id
            offset 0) event
        order by place, version
        """,
        streams =>
        [
            Value(streams.Select(stream => stream.TenantId).ToArray()), Value(streams.Select(stream => stream.Type).ToArray()),
            Value(streams.Select(stream => stream.Id).ToArray()),
        ],
        row => (row.GetString(1), row.GetFieldValue<byte[]>(2)));

    /// <summary>Folds a whole stream, read as one of <see cref="OfStreams"/>.</summary>
    public Loaded<TState> Fold<TState, TEvent>(IReadOnlyList<(string Type, byte[] Data)> stream) where TState : IEvolve<TState, TEvent> =>
        new(Platform.EventStore.Fold.After(TState.Initial, stream.Select(row => (TEvent)events.Deserialize(row.Type, row.Data))), stream.Count);

    /// <summary>Folds a whole stream, read as <see cref="FoldColumns"/>.</summary>
    public async Task<Loaded<TState>> Fold<TState, TEvent>(NpgsqlDataReader reader, CancellationToken cancellation)
        where TState : IEvolve<TState, TEvent>
    {
        var state = TState.Initial;
        var version = 0L;
        while (await reader.ReadAsync(cancellation))
        {
            state = TState.Evolve(state, (TEvent)events.Deserialize(reader.GetString(0), reader.GetFieldValue<byte[]>(1)));
            version++;
        }
        return new(state, version);
    }

    /// <summary>All rows, read as <see cref="Columns"/>.</summary>
    public async Task<List<RecordedEvent>> All(NpgsqlDataReader reader, CancellationToken cancellation)
    {
        List<RecordedEvent> recorded = [];
        while (await reader.ReadAsync(cancellation))
            recorded.Add(Row(reader));
        return recorded;
    }

    /// <summary>
    /// A page of a lane after one number and up to another. Types that are known and not wanted are left to the database;
    /// an unknown type comes through and throws, because the process that knows it must not find it passed over. Read in a transaction.
    /// </summary>
    public async Task<List<RecordedEvent>> Page(
        NpgsqlConnection connection, short lane, long after, long upTo, int limit, Func<Type, bool> wanted,
        CancellationToken cancellation)
    {
        // The index has the order. The planner would rather sort, on disk, because the lanes lie mixed in the table.
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new("set local enable_sort = off"));
        batch.BatchCommands.Add(new(
            $"""
            select {Columns} from {database.Schema}.events
            where lane = $1 and number > $2 and number <= $3 and type <> all ($4) order by number limit $5
            """)
        {
            Parameters = { Value(lane), Value(after), Value(upTo), Value(events.NamesOf(type => !wanted(type))), Value(limit) },
        });
        batch.BatchCommands.Add(new("set local enable_sort = on"));
        await using var reader = await batch.ExecuteReaderAsync(cancellation);
        return await All(reader, cancellation);
    }

    private RecordedEvent Row(NpgsqlDataReader reader)
    {
        var type = reader.GetString(6);
        return new(
            new(reader.GetGuid(0), reader.GetString(1), reader.GetGuid(2)),
            reader.GetInt64(3),
            new(reader.GetInt16(4), reader.GetInt64(5)),
            type,
            events.Deserialize(type, reader.GetFieldValue<byte[]>(7)),
            new(
                NodaTime.Instant.FromDateTimeUtc(reader.GetDateTime(8)),
                reader.IsDBNull(9) ? null : reader.GetGuid(9),
                reader.IsDBNull(10) ? null : reader.GetGuid(10),
                reader.IsDBNull(11) ? null : reader.GetString(11)));
    }
}
