using Platform.Contracts;
using Platform.EventStore;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Placement;

namespace Platform.Scheduler.Dispatch;

/// <summary>Reads every tenant's jobs for the planner, in the system role.</summary>
public sealed class OpenAttempts(Documents documents)
{
    private const int PageSize = 1000;

    /// <summary>The jobs that wait, oldest first, up to a limit.</summary>
    public async Task<IReadOnlyList<WaitingJob>> QueueHeads(int limit, CancellationToken cancellation)
    {
        var rows = await documents.ListAllTenants(
            JobViews.TableName, SchedulerJson.Stored<JobView>(), limit, after: null, newestFirst: false, cancellation,
            "data->>'status' = 'queued'");
        return
        [
            .. rows.Select(row => new WaitingJob(
                TenantId.From(row.TenantId), row.View.JobId, row.View.Pool, row.View.Flavor, row.View.GpuMilli,
                row.View.SubmittedAt)),
        ];
    }

    public async Task<IReadOnlyList<OpenAttempt>> All(CancellationToken cancellation)
    {
        var open = new List<OpenAttempt>();
        Guid? after = null;
        while (true)
        {
            var rows = await documents.ListAllTenants(
                JobViews.TableName, SchedulerJson.Stored<JobView>(), PageSize, after, newestFirst: false, cancellation,
                "data->>'status' in ('placed', 'running')");
            foreach (var (tenant, _, view) in rows)
            {
                var attempt = view.Open!;
                open.Add(new(
                    TenantId.From(tenant), view.JobId, attempt.AttemptId, attempt.WorkerId, attempt.SessionId,
                    attempt.DeviceIndex, view.GpuMilli, attempt.StartBefore));
            }

            if (rows.Count < PageSize)
                return open;
            after = rows[^1].Id;
        }
    }

    public async Task<IReadOnlyList<WorkerView>> Workers(CancellationToken cancellation)
    {
        var workers = new List<WorkerView>();
        Guid? after = null;
        while (true)
        {
            var rows = await documents.List(
                TenantId.Operator.Value, WorkerViews.TableName, SchedulerJson.Stored<WorkerView>(), PageSize, after,
                newestFirst: false, cancellation);
            workers.AddRange(rows.Select(row => row.View));
            if (rows.Count < PageSize)
                return workers;
            after = rows[^1].Id;
        }
    }
}
