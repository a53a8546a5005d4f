using Microsoft.Extensions.Options;
using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Placement;

namespace Platform.Scheduler.Dispatch;

/// <summary>Settings under <c>Placement</c>.</summary>
public sealed class PlacementOptions
{
    /// <summary>The longest time between two cycles; changes of the queue or the fleet start one at once.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long a worker may take an attempt from its queue.</summary>
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Jobs looked at in one cycle.</summary>
    public int QueueHeads { get; set; } = 500;
}

/// <summary>One round of placing jobs: read, plan (pure, <see cref="Cycle"/>), commit.</summary>
public sealed partial class PlacementCycle(
    EventStore.EventStore store, OpenAttempts attempts, TimeProvider clock, IOptions<PlacementOptions> options,
    ILogger<PlacementCycle> logger)
{
    private static readonly Cause Cause = new(CorrelationId: null, CausationId: null, Actor: "scheduler/placement");

    /// <returns>True when there may be more to place at once.</returns>
    public async Task<bool> Run(Leadership leadership, CancellationToken cancellation)
    {
        // 1 take queue heads
        var heads = await attempts.QueueHeads(options.Value.QueueHeads, cancellation);
        PlacementMetrics.QueueHeads(heads.Count);
        if (heads.Count == 0)
            return false;

        // 2 snapshot
        var fleet = FleetSnapshot.Of(await attempts.Workers(cancellation), await attempts.All(cancellation));

        // 3 plan
        var plan = Cycle.Plan(fleet, heads);

        // 4 commit
        var placed = 0;
        foreach (var assignment in plan)
        {
            if (await Commit(assignment, leadership, cancellation))
                placed++;
        }

        // 5 requeue: what was not placed was never taken from the queue. It waits for room, unless the plan saw only a part.
        return placed > 0 && heads.Count == options.Value.QueueHeads;
    }

    /// <summary>The event, the news of it and the order to the worker, in one transaction, if this instance still leads.</summary>
    private async Task<bool> Commit(Assignment assignment, Leadership leadership, CancellationToken cancellation)
    {
        var (job, device) = assignment;
        var now = clock.GetCurrentInstant();
        var command = new PlaceJob.Command(
            AttemptId.New(), device.WorkerId, device.SessionId, device.Pool, device.DeviceIndex,
            now + Duration.FromTimeSpan(options.Value.StartTimeout), now);

        var attemptNumber = await store.Transact(
            job.TenantId.Value,
            Cause,
            async (transaction, token) =>
            {
                await leadership.Fence(transaction.Connection, token);
                var decided = await transaction.Decide<Job, JobEvent>(
                    Job.Stream(job.TenantId, job.JobId), state => PlaceJob.Decide(command, state), token);
                if (!decided.State.IsCurrent(command.AttemptId))
                    return 0;

                var share = new DeviceShare(device.DeviceIndex, job.GpuMilli);
                transaction.Publish(new JobPlaced(
                    job.JobId, command.AttemptId, job.TenantId, device.WorkerId, device.SessionId, share, now));
                transaction.Send(
                    Queues.Worker(device.Pool, device.WorkerId),
                    new ExecuteJob(
                        job.JobId, command.AttemptId, job.TenantId, device.WorkerId, device.SessionId,
                        decided.State.AttemptsMade, decided.State.Spec!, share, decided.State.Checkpoint, command.StartBefore));
                return decided.State.AttemptsMade;
            },
            cancellation);
        if (attemptNumber == 0)
            return false;

        JobPlaced(job.JobId, command.AttemptId, device.WorkerId, device.DeviceIndex);
        PlacementMetrics.Placed(device.Pool, attemptNumber, now - job.SubmittedAt);
        return true;
    }

    [LoggerMessage(
        EventId = 1, Level = LogLevel.Information,
        Message = "Job {JobId} is placed as attempt {AttemptId} on worker {WorkerId}, device {DeviceIndex}")]
    private partial void JobPlaced(JobId jobId, AttemptId attemptId, WorkerId workerId, int deviceIndex);
}
