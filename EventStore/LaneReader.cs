using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>How a reader's visit to a lane ended.</summary>
internal enum Visit
{
    /// <summary>Nothing is left to do now.</summary>
    Drained,

    /// <summary>A full page was done; more may wait.</summary>
    More,

    /// <summary>Another instance has the lane.</summary>
    Elsewhere,
}

/// <summary>Something that works through lanes in the background, one page per transaction, one instance per lane.</summary>
internal abstract class LaneReader
{
    /// <summary>Permanent: names its rows in <c>readers</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Does one page. When it throws, nothing has happened, and it is tried again later.</summary>
    public abstract Task<Visit> ReadPage(short lane, CancellationToken cancellation);
}

/// <summary>
/// Follows the events of a lane. The claim is the lock on the reader's row, so it ends with its holder; the checkpoint in
/// that row commits with the page's effects.
/// </summary>
internal abstract class EventLaneReader(Database database, EventTypes events) : LaneReader
{
    // A lane's uninteresting events are passed without a write until this many have gathered.
    private const int IdleStep = 1_000;

    private readonly EventRows rows = new(database, events);

    protected Database Database { get; } = database;
    protected abstract int PageEvents { get; }
    protected abstract bool Handles(Type eventType);
    protected abstract Task Handle(IReadOnlyList<RecordedEvent> page, NpgsqlConnection connection, CancellationToken cancellation);

    public override async Task<Visit> ReadPage(short lane, CancellationToken cancellation)
    {
        await using var connection = await Database.System.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (await Claim(connection, lane, cancellation) is not { } span)
            return Visit.Elsewhere;
        if (span.Checkpoint == span.Head)
            return Visit.Drained;

        var page = await rows.Page(connection, lane, span.Checkpoint, span.Head, PageEvents, Handles, cancellation);
        if (page.Count == 0 && span.Head - span.Checkpoint < IdleStep)
            return Visit.Drained;

        if (page.Count > 0)
            await Handle(page, connection, cancellation);
        var full = page.Count == PageEvents;
        await MoveCheckpoint(connection, Name, lane, full ? page[^1].Position.Number : span.Head, cancellation);
        await transaction.CommitAsync(cancellation);
        return full ? Visit.More : Visit.Drained;
    }

    /// <summary>
    /// The checkpoint, and the lane's head as this transaction first sees it. Every event up to the head is visible to the
    /// statements that follow, because the head commits together with them.
    /// </summary>
    private async Task<(long Checkpoint, long Head)?> Claim(NpgsqlConnection connection, short lane, CancellationToken cancellation)
    {
        await using var claim = new NpgsqlCommand(
            $"""
            select r.number, (select l.number from {Database.Schema}.lanes l where l.lane = r.lane)
            from {Database.Schema}.readers r where r.name = $1 and r.lane = $2 for update of r skip locked
            """,
            connection)
        {
            Parameters = { Text(Name), Value(lane) },
        };
        await using var reader = await claim.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? (reader.GetInt64(0), reader.GetInt64(1)) : null;
    }

    private async Task MoveCheckpoint(NpgsqlConnection connection, string name, short lane, long number, CancellationToken cancellation)
    {
        await using var move = new NpgsqlCommand(
            $"update {Database.Schema}.readers set number = $3 where name = $1 and lane = $2", connection)
        {
            Parameters = { Text(name), Value(lane), Value(number) },
        };
        await move.ExecuteNonQueryAsync(cancellation);
    }
}
