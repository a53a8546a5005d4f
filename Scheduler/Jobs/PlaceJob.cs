using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Scheduler.Jobs;

/// <summary>
/// Gives a waiting job a device. A job that is placed, cancelled or over since the plan was made stays as it is: the plan
/// was a proposal, this is the decision.
/// </summary>
public static class PlaceJob
{
    public sealed record Command(
        AttemptId AttemptId, WorkerId WorkerId, WorkerSessionId SessionId, string Pool, int DeviceIndex, Instant StartBefore, Instant At);

    public static Decision<JobEvent> Decide(Command command, Job job) => job switch
    {
        { Status: JobStatus.Queued, Shape: { } shape } =>
        [
            new JobEvent.Placed(
                command.AttemptId, job.AttemptsMade + 1, command.WorkerId, command.SessionId, command.Pool,
                new DeviceShare(command.DeviceIndex, shape.GpuMilli), command.StartBefore, command.At),
        ],
        _ => [],
    };
}
