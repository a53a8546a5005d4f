using NodaTime;
using Platform.Contracts;
using Platform.Scheduler.Fleet;

namespace Platform.Scheduler.Placement;

/// <summary>An attempt that holds a share of a device.</summary>
public sealed record OpenAttempt(
    TenantId TenantId, JobId JobId, AttemptId AttemptId, WorkerId WorkerId, WorkerSessionId SessionId, int DeviceIndex,
    int GpuMilli, Instant StartBefore)
{
    /// <summary>What is left of a device; attempts of earlier sessions hold nothing any more.</summary>
    public static int FreeMilli(WorkerView worker, int deviceIndex, IEnumerable<OpenAttempt> open) => 1000 - open
        .Where(attempt => attempt.WorkerId == worker.WorkerId && attempt.SessionId == worker.SessionId
            && attempt.DeviceIndex == deviceIndex)
        .Sum(attempt => attempt.GpuMilli);
}
