using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Scheduler.Jobs;

// The names on the wire are chosen here, once, and never change; the C# names may.
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Submitted), "job.submitted.v1")]
[JsonDerivedType(typeof(Placed), "job.placed.v1")]
[JsonDerivedType(typeof(Started), "job.started.v1")]
[JsonDerivedType(typeof(Checkpointed), "job.checkpointed.v1")]
[JsonDerivedType(typeof(AttemptEnded), "job.attempt_ended.v1")]
[JsonDerivedType(typeof(CancelRequested), "job.cancel_requested.v1")]
[JsonDerivedType(typeof(Cancelled), "job.cancelled.v1")]
[JsonDerivedType(typeof(Completed), "job.completed.v1")]
[JsonDerivedType(typeof(Failed), "job.failed.v1")]
public abstract record JobEvent
{
    /// <param name="Warnings">The soft limits that the job went beyond; absent where there was none.</param>
    public sealed record Submitted(
        JobId JobId, TenantId TenantId, JobSpec Spec, JobShape Shape, int AttemptsMax, Instant At,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<JobWarning>? Warnings = null) : JobEvent;

    /// <param name="Number">1 for the first attempt of the job.</param>
    /// <param name="Pool">With the worker it names the queue that reaches the attempt.</param>
    public sealed record Placed(
        AttemptId AttemptId, int Number, WorkerId WorkerId, WorkerSessionId SessionId, string Pool, DeviceShare Device,
        Instant StartBefore, Instant At) : JobEvent;

    public sealed record Started(AttemptId AttemptId, Instant At) : JobEvent;

    public sealed record Checkpointed(AttemptId AttemptId, Checkpoint Checkpoint, Instant At) : JobEvent;

    /// <summary>The attempt is over and the job is not: it waits for its next attempt, unless another event ends it.</summary>
    public sealed record AttemptEnded(
        AttemptId AttemptId, AttemptOutcome Outcome, Checkpoint? Checkpoint, string Reason, Instant At) : JobEvent;

    public sealed record CancelRequested(AttemptId AttemptId, Instant At) : JobEvent;

    public sealed record Cancelled(Instant At) : JobEvent;

    public sealed record Completed(
        AttemptId AttemptId, string? ArtifactUri, IReadOnlyDictionary<string, decimal> Metrics, Instant At) : JobEvent;

    /// <param name="AttemptId">The attempt that failed; null where the job failed because no attempt is left.</param>
    public sealed record Failed(AttemptId? AttemptId, string Code, string Reason, Instant At) : JobEvent;
}

/// <summary>What a job needs of a device.</summary>
/// <param name="Pool">on-demand, reserved or spot.</param>
/// <param name="Flavor">The device's model; null takes any.</param>
/// <param name="GpuMilli">Thousandths of one device, 1 to 1000.</param>
public sealed record JobShape(string Pool, string? Flavor, int GpuMilli);

/// <summary>What the tenant should know of a job that was taken all the same.</summary>
/// <param name="Code">Stable, for programs: <c>limit.jobs_concurrent.reached</c>.</param>
/// <param name="Text">For people.</param>
public sealed record JobWarning(string Code, string Text);

/// <summary>Why an attempt ended before its job did.</summary>
public enum AttemptOutcome
{
    /// <summary>The worker is gone, or says that it does not run the attempt.</summary>
    Lost,

    /// <summary>The worker shut down in good order and gave the job back.</summary>
    HandedBack,

    /// <summary>The worker broke on it; another may succeed.</summary>
    Faulted,

    /// <summary>The worker stopped it because the tenant cancelled the job.</summary>
    Stopped,
}

public enum JobStatus
{
    Missing,
    Queued,
    Placed,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// <summary>The attempt that holds a device now.</summary>
public sealed record Attempt(AttemptId AttemptId, int Number, WorkerId WorkerId, string Pool);

/// <summary>Only what the job features need to decide. What people read lives in <see cref="JobView"/>.</summary>
/// <param name="Attempt">Null while nothing holds a device for the job: queued, or over.</param>
/// <param name="AttemptsMade">All attempts, for numbering them.</param>
/// <param name="AttemptsSpent">Attempts that were lost or faulted; handing back costs the tenant nothing.</param>
/// <param name="Checkpoint">The one with the most steps, from any attempt.</param>
public sealed record Job(
    JobStatus Status, JobSpec? Spec, JobShape? Shape, int AttemptsMax, Attempt? Attempt, int AttemptsMade, int AttemptsSpent,
    Checkpoint? Checkpoint, bool CancelRequested) : IEvolve<Job, JobEvent>
{
    /// <summary>Names the streams; permanent.</summary>
    public const string StreamType = "job";

    public static Job Initial => new(
        JobStatus.Missing, Spec: null, Shape: null, AttemptsMax: 0, Attempt: null, AttemptsMade: 0, AttemptsSpent: 0,
        Checkpoint: null, CancelRequested: false);

    public static StreamId Stream(TenantId tenant, JobId job) => new(tenant.Value, StreamType, job.Value);

    /// <summary>True for the one attempt whose reports count; everything else is late.</summary>
    public bool IsCurrent(AttemptId attempt) => Attempt?.AttemptId == attempt;

    public static Job Evolve(Job job, JobEvent @event) => @event switch
    {
        JobEvent.Submitted submitted => job with
        {
            Status = JobStatus.Queued,
            Spec = submitted.Spec,
            Shape = submitted.Shape,
            AttemptsMax = submitted.AttemptsMax,
        },
        JobEvent.Placed placed => job with
        {
            Status = JobStatus.Placed,
            Attempt = new(placed.AttemptId, placed.Number, placed.WorkerId, placed.Pool),
            AttemptsMade = placed.Number,
        },
        JobEvent.Started => job with { Status = JobStatus.Running },
        JobEvent.Checkpointed checkpointed => job with { Checkpoint = checkpointed.Checkpoint },
        JobEvent.AttemptEnded ended => job with
        {
            Status = JobStatus.Queued,
            Attempt = null,
            AttemptsSpent = job.AttemptsSpent + (ended.Outcome is AttemptOutcome.Lost or AttemptOutcome.Faulted ? 1 : 0),
            Checkpoint = ended.Checkpoint ?? job.Checkpoint,
        },
        JobEvent.CancelRequested => job with { CancelRequested = true },
        JobEvent.Cancelled => job with { Status = JobStatus.Cancelled, Attempt = null },
        JobEvent.Completed => job with { Status = JobStatus.Completed, Attempt = null },
        JobEvent.Failed => job with { Status = JobStatus.Failed, Attempt = null },
        _ => throw new UnreachableException($"Job does not know {@event.GetType().Name}."),
    };
}
