using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Platform.EventStore;

/// <summary>Wakes the background readers of a lane. A ring is a hint: readers find their work by their checkpoints.</summary>
internal sealed class Bell(Database database) : IDisposable
{
    private readonly List<SemaphoreSlim>[] listeners = [.. database.AllLanes.Select(_ => new List<SemaphoreSlim>())];
    private readonly SemaphoreSlim outside = new(0);
    private long rung;

    /// <summary>A semaphore that is released, to at most a few, whenever the lane has news.</summary>
    public SemaphoreSlim Listen(short lane)
    {
        var listener = new SemaphoreSlim(1);
        lock (listeners)
            listeners[lane].Add(listener);
        return listener;
    }

    /// <summary>For a commit of this process: wakes its own readers, and soon those of other processes.</summary>
    public void Ring(short lane)
    {
        RingHere(lane);
        Interlocked.Or(ref rung, 1L << (lane % 64));
        Release(outside);
    }

    public void RingHere(short lane)
    {
        lock (listeners)
        {
            foreach (var listener in listeners[lane])
                Release(listener);
        }
    }

    /// <summary>Waits for a ring of this process and returns the lanes rung since the last call.</summary>
    public async Task<IReadOnlyList<short>> Rung(CancellationToken cancellation)
    {
        await outside.WaitAsync(cancellation);
        var lanes = Interlocked.Exchange(ref rung, 0);
        return [.. database.AllLanes.Where(lane => (lanes & (1L << (lane % 64))) != 0)];
    }

    public void Dispose() => outside.Dispose();

    private static void Release(SemaphoreSlim signal)
    {
        if (signal.CurrentCount == 0)
            signal.Release();
    }
}

/// <summary>
/// Carries rings between processes by NOTIFY, and looks once a second at the heads of the lanes, because a NOTIFY may be
/// lost with its sender. The NOTIFY is a transaction of its own, many commits to one: within the appends it would take a
/// lock of the whole database at each of their commits.
/// </summary>
internal sealed partial class BellListener(Database database, Bell bell, TimeProvider time, ILogger<BellListener> logger)
    : BackgroundService
{
    private static readonly TimeSpan Poll = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private string Channel => $"platform_{database.Schema}";

    protected override Task ExecuteAsync(CancellationToken stopping) =>
        Task.WhenAll(Forever(Hear, stopping), Forever(Tell, stopping));

    private async Task Hear(CancellationToken stopping)
    {
        await using var connection = await database.System.OpenConnectionAsync(stopping);
        connection.Notification += (_, notification) =>
        {
            foreach (var lane in notification.Payload.Split(','))
            {
                if (short.TryParse(lane, out var known) && known >= 0 && known < database.Lanes)
                    bell.RingHere(known);
            }
        };
        await using (var listen = new NpgsqlCommand($"listen {Channel}", connection))
            await listen.ExecuteNonQueryAsync(stopping);

        try
        {
            var seen = new Dictionary<short, (long, long)>();
            while (true)
            {
                await LookAtHeads(connection, seen, stopping);
                await connection.WaitAsync(Poll, stopping);
            }
        }
        finally
        {
            // The connection may go back to the pool, where it should hear nothing more.
            await using var unlisten = new NpgsqlCommand("unlisten *", connection);
            if (connection.FullState == System.Data.ConnectionState.Open)
                await unlisten.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private async Task LookAtHeads(NpgsqlConnection connection, Dictionary<short, (long, long)> seen, CancellationToken stopping)
    {
        await using var heads = new NpgsqlCommand($"select lane, number, outbox_number from {database.Schema}.lanes", connection);
        await using var reader = await heads.ExecuteReaderAsync(stopping);
        while (await reader.ReadAsync(stopping))
        {
            var (lane, head) = (reader.GetInt16(0), (reader.GetInt64(1), reader.GetInt64(2)));
            if (seen.GetValueOrDefault(lane) == head)
                continue;
            seen[lane] = head;
            if (lane < database.Lanes)
                bell.RingHere(lane);
        }
    }

    private async Task Tell(CancellationToken stopping)
    {
        while (true)
        {
            var lanes = await bell.Rung(stopping);
            if (lanes.Count > 0)
            {
                await using var notify = database.System.CreateCommand("select pg_notify($1, $2)");
                notify.Parameters.Add(Database.Text(Channel));
                notify.Parameters.Add(Database.Text(string.Join(',', lanes)));
                await notify.ExecuteNonQueryAsync(stopping);
            }
            await Task.Delay(Pause, time, stopping);
        }
    }

    private async Task Forever(Func<CancellationToken, Task> work, CancellationToken stopping)
    {
        for (var failures = 0; !stopping.IsCancellationRequested; failures++)
        {
            try
            {
                await work(stopping);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                LogLost(error, database.Schema);
            }
            try
            {
                await Task.Delay(Faults.Backoff(failures, millisecondsMax: 1_000), time, stopping);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "The notifications of schema {Schema} are interrupted; readers poll until they are back.")]
    private partial void LogLost(Exception error, string schema);
}
