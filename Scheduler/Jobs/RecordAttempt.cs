using MassTransit;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Jobs;

/// <summary>
/// What workers report about an attempt. Only the job's current attempt counts: a report of an earlier one is late (its
/// worker was given up, or handed the job back) and changes nothing.
/// </summary>
public static class RecordAttempt
{
    public static Decision<JobEvent> Started(JobStarted message, Job job) =>
        job.IsCurrent(message.AttemptId) && job.Status == JobStatus.Placed
            ? [new JobEvent.Started(message.AttemptId, message.At)]
            : [];

    /// <summary>Progress itself is no event: see <see cref="JobProgress"/>. A checkpoint is, because later attempts begin there.</summary>
    public static Decision<JobEvent> Progressed(JobProgressed message, Job job) =>
        job.IsCurrent(message.AttemptId) && message.Checkpoint is { } checkpoint && checkpoint.Step > (job.Checkpoint?.Step ?? -1)
            ? [new JobEvent.Checkpointed(message.AttemptId, checkpoint, message.At)]
            : [];

    /// <summary>Work that is done is done, even if a cancellation was under way.</summary>
    public static Decision<JobEvent> Completed(JobCompleted message, Job job) =>
        job.IsCurrent(message.AttemptId)
            ? [new JobEvent.Completed(message.AttemptId, message.ArtifactUri, message.Metrics, message.At)]
            : [];

    public static Decision<JobEvent> Failed(JobFailed message, Job job) => job switch
    {
        _ when !job.IsCurrent(message.AttemptId) => [],
        _ when message.Retryable => EndAttempt.Decide(
            new(message.AttemptId, AttemptOutcome.Faulted, Checkpoint: null, $"{message.Code}: {message.Reason}", message.At), job),
        _ => [new JobEvent.Failed(message.AttemptId, message.Code, message.Reason, message.At)],
    };

    public static Decision<JobEvent> Stopped(JobStopped message, Job job) => EndAttempt.Decide(
        new(
            message.AttemptId,
            message.HandedBack || !job.CancelRequested ? AttemptOutcome.HandedBack : AttemptOutcome.Stopped,
            message.Checkpoint,
            message.HandedBack ? "The worker shut down." : "The worker stopped the attempt.",
            message.At),
        job);
}

public sealed class JobStartedConsumer(EventStore.EventStore store) : InboxConsumer<JobStarted>(store)
{
    protected override TenantId TenantOf(JobStarted message) => message.TenantId;

    protected override Task Handle(JobStarted message, EventTransaction transaction, CancellationToken cancellation) =>
        transaction.Decide<Job, JobEvent>(
            Job.Stream(message.TenantId, message.JobId), job => RecordAttempt.Started(message, job), cancellation);
}

public sealed class JobCompletedConsumer(EventStore.EventStore store) : InboxConsumer<JobCompleted>(store)
{
    protected override TenantId TenantOf(JobCompleted message) => message.TenantId;

    protected override Task Handle(JobCompleted message, EventTransaction transaction, CancellationToken cancellation) =>
        transaction.Decide<Job, JobEvent>(
            Job.Stream(message.TenantId, message.JobId), job => RecordAttempt.Completed(message, job), cancellation);
}

public sealed class JobFailedConsumer(EventStore.EventStore store) : InboxConsumer<JobFailed>(store)
{
    protected override TenantId TenantOf(JobFailed message) => message.TenantId;

    protected override Task Handle(JobFailed message, EventTransaction transaction, CancellationToken cancellation) =>
        transaction.Decide<Job, JobEvent>(
            Job.Stream(message.TenantId, message.JobId), job => RecordAttempt.Failed(message, job), cancellation);
}

public sealed class JobStoppedConsumer(EventStore.EventStore store) : InboxConsumer<JobStopped>(store)
{
    protected override TenantId TenantOf(JobStopped message) => message.TenantId;

    protected override Task Handle(JobStopped message, EventTransaction transaction, CancellationToken cancellation) =>
        transaction.Decide<Job, JobEvent>(
            Job.Stream(message.TenantId, message.JobId), job => RecordAttempt.Stopped(message, job), cancellation);
}

/// <summary>
/// Needs no inbox: the newest progress wins however often it comes, and a checkpoint that is known is none. So the many
/// progress messages leave no rows behind.
/// </summary>
public sealed class JobProgressedConsumer(EventStore.EventStore store) : IConsumer<JobProgressed>
{
    public Task Consume(ConsumeContext<JobProgressed> context)
    {
        var message = context.Message;
        var cause = new Cause(context.CorrelationId ?? context.ConversationId, context.MessageId, nameof(JobProgressedConsumer));

        return store.Transact(
            message.TenantId.Value,
            cause,
            async (transaction, cancellation) =>
            {
                if (message.Checkpoint is not null)
                {
                    await transaction.Decide<Job, JobEvent>(
                        Job.Stream(message.TenantId, message.JobId), job => RecordAttempt.Progressed(message, job), cancellation);
                }

                await JobProgress.Keep(
                    transaction, message.JobId, new(message.AttemptId, message.Fraction, message.Message, message.At), cancellation);
                return true;
            },
            context.CancellationToken);
    }
}
