using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Jobs;

/// <summary>The job as people read it.</summary>
/// <param name="CancelRequested">A cancellation is under way or done.</param>
/// <param name="StartedAt">When the first attempt began to run.</param>
/// <param name="Attempts">Oldest first; the last one is open while the job is placed or running.</param>
/// <param name="Checkpoint">Where the next attempt would go on.</param>
/// <param name="Progress">Of the open attempt; null when there is none or nothing was reported.</param>
/// <param name="Warnings">The soft limits of the tenant that the job went beyond when it was submitted; null where there was none.</param>
/// <param name="ArtifactUri">The model or the predictions of a completed job.</param>
public sealed record JobView(
    JobId JobId, JobStatus Status, bool CancelRequested, JobSpec Spec, int GpuMilli, string Pool, string? Flavor,
    Instant SubmittedAt, Instant? StartedAt, Instant? EndedAt, IReadOnlyList<JobView.AttemptView> Attempts,
    Checkpoint? Checkpoint, JobProgress? Progress, string? ArtifactUri, IReadOnlyDictionary<string, decimal>? Metrics,
    JobView.FailureView? Failure, IReadOnlyList<JobWarning>? Warnings = null)
{
    /// <param name="Outcome">Null while the attempt is open, and for one that completed or failed its job.</param>
    public sealed record AttemptView(
        AttemptId AttemptId, int Number, WorkerId WorkerId, WorkerSessionId SessionId, int DeviceIndex, Instant PlacedAt,
        Instant StartBefore, Instant? StartedAt, Instant? EndedAt, AttemptOutcome? Outcome, string? Reason);

    public sealed record FailureView(string Code, string Reason);

    /// <summary>The attempt that holds a device.</summary>
    internal AttemptView? Open => Status is JobStatus.Placed or JobStatus.Running ? Attempts[^1] : null;

    public static JobView Project(JobView? view, JobEvent @event) => (view, @event) switch
    {
        (null, JobEvent.Submitted submitted) => new(
            submitted.JobId, JobStatus.Queued, CancelRequested: false, submitted.Spec, submitted.Shape.GpuMilli,
            submitted.Shape.Pool, submitted.Shape.Flavor, submitted.At, StartedAt: null, EndedAt: null, Attempts: [],
            Checkpoint: null, Progress: null, ArtifactUri: null, Metrics: null, Failure: null, submitted.Warnings),
        ({ } job, JobEvent.Placed placed) => job with
        {
            Status = JobStatus.Placed,
            Attempts =
            [
                .. job.Attempts,
                new(
                    placed.AttemptId, placed.Number, placed.WorkerId, placed.SessionId, placed.Device.DeviceIndex, placed.At,
                    placed.StartBefore, StartedAt: null, EndedAt: null, Outcome: null, Reason: null),
            ],
        },
        ({ } job, JobEvent.Started started) => job.WithLastAttempt(attempt => attempt with { StartedAt = started.At }) with
        {
            Status = JobStatus.Running,
            StartedAt = job.StartedAt ?? started.At,
        },
        ({ } job, JobEvent.Checkpointed checkpointed) => job with { Checkpoint = checkpointed.Checkpoint },
        ({ } job, JobEvent.AttemptEnded ended) => job.WithLastAttempt(attempt => attempt with
        {
            EndedAt = ended.At,
            Outcome = ended.Outcome,
            Reason = ended.Reason,
        }) with
        {
            Status = JobStatus.Queued,
            Checkpoint = ended.Checkpoint ?? job.Checkpoint,
        },
        ({ } job, JobEvent.CancelRequested) => job with { CancelRequested = true },
        ({ } job, JobEvent.Cancelled cancelled) => job with
        {
            Status = JobStatus.Cancelled,
            CancelRequested = true,
            EndedAt = cancelled.At,
        },
        ({ } job, JobEvent.Completed completed) =>
            job.WithLastAttempt(attempt => attempt with { EndedAt = completed.At }) with
            {
                Status = JobStatus.Completed,
                EndedAt = completed.At,
                ArtifactUri = completed.ArtifactUri,
                Metrics = completed.Metrics,
            },
        ({ } job, JobEvent.Failed failed) =>
            (failed.AttemptId is null ? job : job.WithLastAttempt(attempt => attempt with { EndedAt = failed.At })) with
            {
                Status = JobStatus.Failed,
                EndedAt = failed.At,
                Failure = new(failed.Code, failed.Reason),
            },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view?.Status}."),
    };

    public static void Map(RouteGroupBuilder jobs)
    {
        jobs.MapGet("/", List).WithName("ListJobs");
        jobs.MapGet("/{jobId}", Read).WithName("ReadJob");
    }

    internal static async Task<JobView?> Find(Documents documents, TenantId tenant, JobId job, CancellationToken cancellation)
    {
        var view = await documents.Find(
            tenant.Value, JobViews.TableName, job.Value, SchedulerJson.Stored<JobView>(), cancellation);
        if (view is null)
            return null;

        var progress = view.Open is null
            ? null
            : await documents.Find(tenant.Value, JobProgress.Table, job.Value, SchedulerJson.Stored<JobProgress>(), cancellation);
        return view.With(progress);
    }

    private static async Task<Results<Ok<JobView>, ProblemHttpResult>> Read(
        Caller caller, JobId jobId, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, jobId, cancellation) is { } view ? TypedResults.Ok(view) : Problems.NotFound("job");

    /// <summary>Newest first; <c>?status=</c> keeps those in one status.</summary>
    private static async Task<Ok<Page<JobView>>> List(
        Caller caller, [AsParameters] PageQuery page, [FromQuery(Name = "status")] string? status, Documents documents,
        CancellationToken cancellation)
    {
        string[] known = ["queued", "placed", "running", "completed", "failed", "cancelled"];
        if (status is not null && !known.Contains(status))
            throw new InvalidRequestException("status", $"One of {string.Join(", ", known)}.");

        var tenant = caller.TenantId.Value;
        NpgsqlParameter[] parameters = status is null ? [] : [new("status", status)];
        var rows = await documents.List(
            tenant, JobViews.TableName, SchedulerJson.Stored<JobView>(), page.Size + 1, page.After, newestFirst: true, cancellation,
            status is null ? null : "data->>'status' = @status", parameters);

        var open = rows.Where(row => row.View.Open is not null).Select(row => row.Id).ToArray();
        var progress = open.Length == 0
            ? []
            : (await documents.List(
                tenant, JobProgress.Table, SchedulerJson.Stored<JobProgress>(), open.Length, after: null, newestFirst: true,
                cancellation, "id = any(@ids)", new NpgsqlParameter("ids", open))).ToDictionary(row => row.Id, row => row.View);

        return TypedResults.Ok(page.Of(
            [.. rows.Select(row => row.View.With(progress.GetValueOrDefault(row.Id)))], view => view.JobId.Value));
    }

    private JobView With(JobProgress? progress) =>
        this with { Progress = progress is not null && progress.AttemptId == Open?.AttemptId ? progress : null };

    private JobView WithLastAttempt(Func<AttemptView, AttemptView> change) =>
        this with { Attempts = [.. Attempts.SkipLast(1), change(Attempts[^1])] };
}

/// <summary>Kept inline: whoever submits or cancels a job reads it back at once, and the planner sees its own placements.</summary>
public sealed class JobViews : DocumentProjection<JobView, JobEvent>
{
    public const string TableName = "job_views";

    public override string Name => "job_views";

    protected override string Table => TableName;

    protected override JsonTypeInfo<JobView> Json => SchedulerJson.Stored<JobView>();

    protected override JobView? Fold(JobView? view, JobEvent @event, RecordedEvent recorded) => JobView.Project(view, @event);
}
