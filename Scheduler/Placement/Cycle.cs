using NodaTime;
using Platform.Contracts;
using Platform.Scheduler.Fleet;

namespace Platform.Scheduler.Placement;

/// <summary>A job that waits for a device.</summary>
/// <param name="Flavor">Null takes any.</param>
/// <param name="GpuMilli">Thousandths of one device, 1 to 1000.</param>
public sealed record WaitingJob(
    TenantId TenantId, JobId JobId, string Pool, string? Flavor, int GpuMilli, Instant SubmittedAt);

/// <summary>A device that takes work.</summary>
/// <param name="FreeMilli">Thousandths that no attempt holds; 1000 on an idle device.</param>
public sealed record FleetDevice(
    WorkerId WorkerId, WorkerSessionId SessionId, string Pool, int DeviceIndex, string Flavor, int FreeMilli);

/// <summary>The room on every worker that takes work.</summary>
public sealed record FleetSnapshot(IReadOnlyList<FleetDevice> Devices)
{
    public static FleetSnapshot Of(IEnumerable<WorkerView> workers, IReadOnlyCollection<OpenAttempt> open) => new(
    [
        .. workers.Where(worker => worker.Status == WorkerStatus.Active).SelectMany(worker => worker.Devices.Select(device =>
            new FleetDevice(
                worker.WorkerId, worker.SessionId, worker.Pool, device.Index, device.Flavor,
                OpenAttempt.FreeMilli(worker, device.Index, open)))),
    ]);
}

public sealed record Assignment(WaitingJob Job, FleetDevice Device);

/// <summary>
/// The pure core of placement: which waiting job gets which device. No clock, no I/O, no chance: the same snapshot and queue
/// give the same plan.
/// </summary>
/// <remarks>
/// Oldest first, fits or waits. A job goes to the suitable device that it leaves the least room on (best fit), so that whole
/// devices stay whole. A job that fits nowhere waits and closes the roomiest suitable device to all younger jobs; jobs that
/// suit other devices go on. A closed device only drains, and the oldest job switches to another only if that one has more
/// room, so the room reserved for it never shrinks and it is placed as soon as enough attempts have ended: nobody starves.
/// The price is idle room on closed devices.
/// </remarks>
public static class Cycle
{
    public static IReadOnlyList<Assignment> Plan(FleetSnapshot fleet, IEnumerable<WaitingJob> queue)
    {
        // Ties break by id: replayed plans must not depend on the order of rows.
        FleetDevice[] devices = [.. fleet.Devices.OrderBy(device => device.WorkerId.Value).ThenBy(device => device.DeviceIndex)];
        var free = Array.ConvertAll(devices, device => device.FreeMilli);
        var closed = new bool[devices.Length];
        var assignments = new List<Assignment>();

        foreach (var job in queue.DistinctBy(job => job.JobId).OrderBy(job => job.SubmittedAt).ThenBy(job => job.JobId.Value))
        {
            int? tightest = null, roomiest = null;
            for (var i = 0; i < devices.Length; i++)
            {
                if (closed[i] || !Suits(job, devices[i]))
                    continue;
                if (free[i] >= job.GpuMilli && (tightest is not { } t || free[i] < free[t]))
                    tightest = i;
                if (roomiest is not { } r || free[i] > free[r])
                    roomiest = i;
            }

            if (tightest is { } chosen)
            {
                free[chosen] -= job.GpuMilli;
                assignments.Add(new(job, devices[chosen]));
            }
            else if (roomiest is { } reserved)
            {
                closed[reserved] = true;
            }
        }

        return assignments;
    }

    public static bool Suits(WaitingJob job, FleetDevice device) =>
        device.Pool == job.Pool && (job.Flavor is null || job.Flavor == device.Flavor);
}
