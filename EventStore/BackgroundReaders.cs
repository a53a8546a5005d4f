using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// Runs the outbox relay, the subscriptions and the async projections: a loop per reader and lane, woken by the bell. A
/// failure of any kind is logged, waited out and tried again at the same place; nothing is skipped and no failure of the
/// database ends the process.
/// </summary>
internal sealed partial class BackgroundReaders(
    Database database, Bell bell, OutboxRelay relay, IEnumerable<Projection> projections, IEnumerable<Subscription> subscriptions,
    EventTypes events, Serializer serializer, IServiceProvider services, TimeProvider time, ILogger<BackgroundReaders> logger)
    : BackgroundService
{
    // So many pages of one reader are in work at once; more would only take connections from the others.
    private const int LanesAtOnce = 4;

    // Where news comes in a stream, it is read in pages and not one by one; the first is read at once.
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(25);

    private static readonly TimeSpan ElsewherePoll = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SlowPoll = TimeSpan.FromSeconds(10);

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        _ = services.GetRequiredService<IMessagePublisher>();   // a missing bus fails the start, not the first message

        LaneReader[] readers =
        [
            relay,
            .. subscriptions.Select(subscription => new SubscriptionReader(subscription, database, events, serializer, bell)),
            .. projections.Where(projection => projection.Lifecycle == ProjectionLifecycle.Async)
                .Select(projection => new ProjectionReader(projection, database, events)),
        ];
        try
        {
            await Prepare(readers, stopping);
            await Task.WhenAll(
                from reader in readers
                let atOnce = new SemaphoreSlim(LanesAtOnce)
                from lane in database.AllLanes
                select Task.Run(() => Follow(reader, lane, atOnce, stopping), CancellationToken.None));
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // The host stops.
        }
    }

    private async Task Follow(LaneReader reader, short lane, SemaphoreSlim atOnce, CancellationToken stopping)
    {
        var news = bell.Listen(lane);
        var failures = 0;
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                var began = time.GetTimestamp();
                var visit = await VisitInTurn(reader, lane, atOnce, stopping);
                failures = 0;
                if (visit == Visit.More)
                    continue;
                await news.WaitAsync(visit == Visit.Elsewhere ? ElsewherePoll : SlowPoll, stopping);
                if (Gathering - time.GetElapsedTime(began) is { Ticks: > 0 } rest)
                    await Task.Delay(rest, time, stopping);
            }
            catch (Exception) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                Telemetry.ReaderFailed(reader.Name);
                LogFailed(error, reader.Name, lane, failures + 1);
                await database.DropIdleConnections(error);
                await Task.Delay(Faults.Backoff(failures++), time, stopping)
                    .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static async Task<Visit> VisitInTurn(LaneReader reader, short lane, SemaphoreSlim atOnce, CancellationToken stopping)
    {
        await atOnce.WaitAsync(stopping);
        try
        {
            return await reader.ReadPage(lane, stopping);
        }
        finally
        {
            atOnce.Release();
        }
    }

    /// <summary>Checks the lanes and makes the rows that readers claim; waits for a database that is not there yet.</summary>
    private async Task Prepare(LaneReader[] readers, CancellationToken stopping)
    {
        for (var failures = 0; ; failures++)
        {
            try
            {
                await using var count = database.System.CreateCommand($"select count(*) from {database.Schema}.lanes");
                var lanes = (long)(await count.ExecuteScalarAsync(stopping))!;
                if (lanes != database.Lanes)
                    throw new InvalidOperationException($"Schema {database.Schema} has {lanes} lanes, the options say {database.Lanes}.");

                await using var rows = database.System.CreateCommand(
                    $"""
                    insert into {database.Schema}.readers (name, lane)
                    select name, lane from unnest($1) name, {database.Schema}.lanes on conflict do nothing
                    """);
                rows.Parameters.Add(Value(readers.Select(reader => reader.Name).ToArray()));
                await rows.ExecuteNonQueryAsync(stopping);
                return;
            }
            catch (NpgsqlException error)
            {
                LogNotReady(error, database.Schema);
                await Task.Delay(Faults.Backoff(failures, millisecondsMax: 2_000), time, stopping);
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "Reader {Reader} failed in lane {Lane}, try {Failures}; the page is tried again.")]
    private partial void LogFailed(Exception error, string reader, short lane, int failures);

    [LoggerMessage(LogLevel.Warning, "Schema {Schema} cannot be read yet.")]
    private partial void LogNotReady(Exception error, string schema);
}

/// <summary>Forgets idempotency keys past their retention.</summary>
internal sealed partial class IdempotencyCleanup(
    Database database, EventStoreOptions options, TimeProvider time, ILogger<IdempotencyCleanup> logger) : BackgroundService
{
    private static readonly TimeSpan Pause = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                await using var forget = database.System.CreateCommand(
                    $"delete from {database.Schema}.idempotency_keys where created_at < clock_timestamp() - $1");
                forget.Parameters.Add(Value(options.IdempotencyRetention));
                await forget.ExecuteNonQueryAsync(stopping);
            }
            catch (NpgsqlException error)
            {
                LogFailed(error, database.Schema);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            await Task.Delay(Pause, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Old idempotency keys of schema {Schema} were not removed; the next hour tries again.")]
    private partial void LogFailed(Exception error, string schema);
}
