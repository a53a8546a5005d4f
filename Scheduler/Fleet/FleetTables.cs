using MassTransit;
using NodaTime;
using NodaTime.Extensions;
using Npgsql;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.Scheduler.Fleet;

/// <summary>The process's own connections in the system role, which sees every tenant: for the fleet and for keys.</summary>
public sealed class SystemDatabase(string connection) : IAsyncDisposable
{
    public NpgsqlDataSource Source { get; } = NpgsqlDataSource.Create(connection);

    /// <summary>
    /// A connection for session locks. A pooled one would keep its locks after it was closed, until somebody happens to use
    /// it again.
    /// </summary>
    public async Task<NpgsqlConnection> OpenUnpooled(CancellationToken cancellation)
    {
        var unpooled = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(connection) { Pooling = false, KeepAlive = 10 }.ConnectionString);
        try
        {
            await unpooled.OpenAsync(cancellation);
            return unpooled;
        }
        catch
        {
            await unpooled.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => Source.DisposeAsync();
}

/// <summary>
/// When each session was last heard and which attempts it said it runs. Plain rows, overwritten every few seconds: nobody
/// asks what they were, so they are no events.
/// </summary>
public sealed class FleetTables(SystemDatabase database)
{
    public async Task Heard(
        WorkerId worker, WorkerSessionId session, IReadOnlyList<AttemptId> running, Instant at, CancellationToken cancellation)
    {
        await using var batch = database.Source.CreateBatch();
        batch.BatchCommands.Add(new(
            """
            insert into scheduler.worker_heartbeats as known (worker_id, session_id, received_at) values ($1, $2, $3)
            on conflict (worker_id, session_id) do update set received_at = greatest(known.received_at, excluded.received_at)
            """)
        {
            Parameters =
            {
                new() { Value = worker.Value },
                new() { Value = session.Value },
                new() { Value = at.ToDateTimeUtc() },
            },
        });
        // Sorted, so that two instances that hear of the same attempts lock their rows in one order.
        batch.BatchCommands.Add(new(
            """
            insert into scheduler.attempt_sightings as known (attempt_id, seen_at) select attempt, $2 from unnest($1) attempt
            on conflict (attempt_id) do update set seen_at = greatest(known.seen_at, excluded.seen_at)
            """)
        {
            Parameters =
            {
                new() { Value = running.Select(attempt => attempt.Value).Distinct().Order().ToArray() },
                new() { Value = at.ToDateTimeUtc() },
            },
        });
        await batch.ExecuteNonQueryAsync(cancellation);
    }

    public async Task<IReadOnlyDictionary<(WorkerId, WorkerSessionId), Instant>> Heartbeats(CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand(
            "select worker_id, session_id, received_at from scheduler.worker_heartbeats");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var heartbeats = new Dictionary<(WorkerId, WorkerSessionId), Instant>();
        while (await reader.ReadAsync(cancellation))
        {
            heartbeats[(WorkerId.From(reader.GetGuid(0)), WorkerSessionId.From(reader.GetGuid(1)))] =
                Instant.FromDateTimeUtc(reader.GetDateTime(2));
        }

        return heartbeats;
    }

    public async Task<IReadOnlyDictionary<AttemptId, Instant>> Sightings(
        IEnumerable<AttemptId> attempts, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand(
            "select attempt_id, seen_at from scheduler.attempt_sightings where attempt_id = any($1)");
        command.Parameters.Add(new() { Value = attempts.Select(attempt => attempt.Value).ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var sightings = new Dictionary<AttemptId, Instant>();
        while (await reader.ReadAsync(cancellation))
            sightings[AttemptId.From(reader.GetGuid(0))] = Instant.FromDateTimeUtc(reader.GetDateTime(1));

        return sightings;
    }

    /// <summary>Forgets what nobody asks for any more.</summary>
    public async Task Forget(Instant before, CancellationToken cancellation)
    {
        await using var batch = database.Source.CreateBatch();
        batch.BatchCommands.Add(new("delete from scheduler.worker_heartbeats where received_at < $1")
        {
            Parameters = { new() { Value = before.ToDateTimeUtc() } },
        });
        batch.BatchCommands.Add(new("delete from scheduler.attempt_sightings where seen_at < $1")
        {
            Parameters = { new() { Value = before.ToDateTimeUtc() } },
        });
        await batch.ExecuteNonQueryAsync(cancellation);
    }
}

/// <summary>
/// Times a heartbeat by this process's clock when it arrives: the worker's own clock says nothing about how long it was
/// silent. Needs no inbox: a repeat only says again what is so.
/// </summary>
public sealed class WorkerHeartbeatConsumer(FleetTables tables, TimeProvider clock) : IConsumer<WorkerHeartbeat>
{
    public Task Consume(ConsumeContext<WorkerHeartbeat> context) => tables.Heard(
        context.Message.WorkerId, context.Message.SessionId, context.Message.Running, clock.GetCurrentInstant(),
        context.CancellationToken);
}
