using MassTransit;
using Microsoft.Extensions.Options;
using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.EventStore;
using Platform.Scheduler.Dispatch;
using Platform.Scheduler.Jobs;

namespace Platform.Scheduler.Fleet;

/// <summary>
/// Looks at the fleet about once a second, on the one instance that leads, and records who was lost, who returned and which
/// attempts are over.
/// </summary>
public sealed partial class FleetWatch(
    EventStore.EventStore store, OpenAttempts attempts, FleetTables tables, IBusControl bus, TimeProvider clock,
    IOptions<FleetOptions> options, IOptions<PlacementOptions> placement, ILogger<FleetWatch> logger)
{
    private static readonly Cause Cause = new(CorrelationId: null, CausationId: null, Actor: "scheduler/fleet_watch");
    private static readonly Duration Retention = Duration.FromDays(7);

    // Looks that are further apart than half a lease do not prove that anybody was silent, so they must be closer than that.
    private readonly Duration lease = placement.Value.Interval * 4 <= options.Value.LeaseTimeout
        ? Duration.FromTimeSpan(options.Value.LeaseTimeout)
        : throw new InvalidOperationException("Placement:Interval must be at most a quarter of Fleet:LeaseTimeout.");

    private Instant? lookedAt;
    private Instant listeningSince;
    private Instant forgotAt;

    /// <summary>Forgets how long it has listened: another instance led meanwhile, or the last look failed.</summary>
    public void StartListening() => lookedAt = null;

    public async Task Look(CancellationToken cancellation)
    {
        var now = clock.GetCurrentInstant();
        var deaf = bus.CheckHealth().Status != BusHealthStatus.Healthy;
        if (deaf || lookedAt is not { } last || now - last > lease / 2)
            listeningSince = now;
        lookedAt = now;

        var workers = await attempts.Workers(cancellation);
        var heartbeats = await tables.Heartbeats(cancellation);
        var open = await attempts.All(cancellation);
        var sightings = await tables.Sightings(open.Select(attempt => attempt.AttemptId), cancellation);

        var verdicts = Judgement.Judge(
            now,
            listeningSince,
            [
                .. workers.Select(worker => new WorkerStanding(
                    worker.WorkerId, worker.SessionId, worker.Status,
                    heartbeats.TryGetValue((worker.WorkerId, worker.SessionId), out var heard) ? heard : worker.RegisteredAt,
                    worker.ChangedAt)),
            ],
            [
                .. open.Select(attempt => new AttemptStanding(
                    attempt, sightings.TryGetValue(attempt.AttemptId, out var listed) ? listed : null)),
            ],
            lease,
            Duration.FromTimeSpan(options.Value.MissingTimeout));

        foreach (var worker in verdicts.WorkersLost)
        {
            WorkerLost(worker.WorkerId, worker.SessionId);
            await Record(worker.WorkerId, known => Lose(worker, now, known), cancellation);
        }

        foreach (var worker in verdicts.WorkersReturned)
        {
            WorkerReturned(worker.WorkerId, worker.SessionId);
            await Record(worker.WorkerId, known => Return(worker, now, known), cancellation);
        }

        foreach (var (attempt, reason) in verdicts.AttemptsLost)
        {
            AttemptLost(attempt.AttemptId, attempt.JobId, reason);
            PlacementMetrics.Lost();
            await store.Decide<Job, JobEvent>(
                Job.Stream(attempt.TenantId, attempt.JobId),
                job => EndAttempt.Decide(new(attempt.AttemptId, AttemptOutcome.Lost, Checkpoint: null, reason, now), job),
                Cause,
                cancellation);
        }

        if (now - forgotAt > Duration.FromHours(1))
        {
            await tables.Forget(now - Retention, cancellation);
            forgotAt = now;
        }
    }

    public static Decision<WorkerEvent> Lose(WorkerStanding standing, Instant at, Worker worker) =>
        worker.Status == WorkerStatus.Active && worker.SessionId == standing.SessionId
            ? [new WorkerEvent.Lost(standing.SessionId, standing.LastHeardAt, at)]
            : [];

    public static Decision<WorkerEvent> Return(WorkerStanding standing, Instant at, Worker worker) =>
        worker.Status == WorkerStatus.Lost && worker.SessionId == standing.SessionId
            ? [new WorkerEvent.Returned(standing.SessionId, at)]
            : [];

    private Task<Decided<Worker>> Record(WorkerId worker, Func<Worker, Decision<WorkerEvent>> decide, CancellationToken cancellation) =>
        store.Decide(Worker.Stream(worker), decide, Cause, cancellation);

    [LoggerMessage(EventId = 1, Level = LogLevel.Warning, Message = "Worker {WorkerId} is lost in session {SessionId}")]
    private partial void WorkerLost(WorkerId workerId, WorkerSessionId sessionId);

    [LoggerMessage(EventId = 2, Level = LogLevel.Information, Message = "Worker {WorkerId} is heard again in session {SessionId}")]
    private partial void WorkerReturned(WorkerId workerId, WorkerSessionId sessionId);

    [LoggerMessage(EventId = 3, Level = LogLevel.Warning, Message = "Attempt {AttemptId} of job {JobId} is lost: {Reason}")]
    private partial void AttemptLost(AttemptId attemptId, JobId jobId, string reason);
}
