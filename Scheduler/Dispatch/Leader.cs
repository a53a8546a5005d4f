using Microsoft.Extensions.Options;
using Npgsql;
using Platform.EventStore;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;

namespace Platform.Scheduler.Dispatch;

/// <summary>
/// The right to place jobs, held by one instance at a time: an advisory lock of a connection elects it, and a term number
/// fences off an instance that lost its connection and does not know it yet.
/// </summary>
public sealed record Leadership(long Term)
{
    private const long ElectionKey = 0x5C_4ED0_01;
    private const long FenceKey = 0x5C_4ED0_02;

    /// <summary>Null while another instance leads.</summary>
    public static async Task<Leadership?> TryTake(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var elect = new NpgsqlCommand("select pg_try_advisory_lock($1)", connection)
        {
            Parameters = { new() { Value = ElectionKey } },
        };
        if (await elect.ExecuteScalarAsync(cancellation) is not true)
            return null;

        // Waits for commits of the former leader that are past their fence; none can pass it after this.
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using var fence = new NpgsqlCommand("select pg_advisory_xact_lock($1)", connection)
        {
            Parameters = { new() { Value = FenceKey } },
        };
        await fence.ExecuteNonQueryAsync(cancellation);
        await using var next = new NpgsqlCommand("update scheduler.placement_terms set term = term + 1 returning term", connection);
        var term = (long)(await next.ExecuteScalarAsync(cancellation))!;
        await transaction.CommitAsync(cancellation);
        return new(term);
    }

    /// <summary>Call first in a transaction that places a job.</summary>
    /// <exception cref="LeadershipLostException">Another instance leads by now.</exception>
    public async Task Fence(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var share = new NpgsqlCommand("select pg_advisory_xact_lock_shared($1)", connection)
        {
            Parameters = { new() { Value = FenceKey } },
        };
        await share.ExecuteNonQueryAsync(cancellation);

        // A statement of its own: it must see what was committed while the lock was waited for.
        await using var read = new NpgsqlCommand("select term from scheduler.placement_terms", connection);
        if ((long)(await read.ExecuteScalarAsync(cancellation))! != Term)
            throw new LeadershipLostException();
    }
}

public sealed class LeadershipLostException() : Exception("Another instance places jobs by now.");

/// <summary>Runs the fleet watch and the placement cycle on one instance, as soon as something changed and at least every second.</summary>
public sealed partial class Leader(
    SystemDatabase database, FleetWatch watch, PlacementCycle cycle, TimeProvider clock, IOptions<PlacementOptions> options,
    ILogger<Leader> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await Lead(stoppingToken);
            }
            catch (Exception) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                // Whatever it was (a restarting database, a lost lead), the state is in the database: begin again from there.
                Interrupted(error);
            }

            await Task.Delay(options.Value.Interval, clock, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task Lead(CancellationToken cancellation)
    {
        await using var connection = await database.OpenUnpooled(cancellation);
        Leadership? leadership;
        while ((leadership = await Leadership.TryTake(connection, cancellation)) is null)
            await Task.Delay(options.Value.Interval, clock, cancellation);

        Leads(leadership.Term);
        await using var listen = new NpgsqlCommand($"listen {PlacementSignal.Channel}", connection);
        await listen.ExecuteNonQueryAsync(cancellation);
        watch.StartListening();

        while (true)
        {
            await watch.Look(cancellation);
            while (await cycle.Run(leadership, cancellation))
                cancellation.ThrowIfCancellationRequested();

            await connection.WaitAsync(options.Value.Interval, cancellation);
            // One cycle answers all signals that came during the last one: any command takes them off the connection.
            await using var drain = new NpgsqlCommand("select 1", connection);
            await drain.ExecuteNonQueryAsync(cancellation);
        }
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "This instance places jobs, term {Term}")]
    private partial void Leads(long term);

    [LoggerMessage(EventId = 2, Level = LogLevel.Warning, Message = "Placing jobs was interrupted and begins again")]
    private partial void Interrupted(Exception error);
}

/// <summary>
/// Wakes the leader, whichever instance it is, when the queue or the fleet changed. Lost signals cost at most one interval.
/// </summary>
public sealed class PlacementSignal : Subscription
{
    public const string Channel = "scheduler_placement";

    public override string Name => "placement_signal";

    public override bool Handles(Type eventType) =>
        eventType == typeof(JobEvent.Submitted)
        || eventType == typeof(JobEvent.AttemptEnded)
        || eventType == typeof(JobEvent.Completed)
        || eventType == typeof(JobEvent.Failed)
        || eventType == typeof(JobEvent.Cancelled)
        || eventType == typeof(WorkerEvent.Registered)
        || eventType == typeof(WorkerEvent.Returned);

    public override async Task Handle(
        IReadOnlyList<RecordedEvent> page, SubscriptionContext context, CancellationToken cancellation)
    {
        await using var notify = new NpgsqlCommand($"notify {Channel}", context.Connection);
        await notify.ExecuteNonQueryAsync(cancellation);
    }
}
