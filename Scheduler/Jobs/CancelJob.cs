using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Jobs;

/// <summary>
/// Takes a job back. One that waits is cancelled at once; one that holds a device is cancelled when its worker says that it
/// stopped, or is known to be gone.
/// </summary>
public static class CancelJob
{
    public sealed record Command(Instant At);

    public static Decision<JobEvent> Decide(Command command, Job job) => job switch
    {
        { Status: JobStatus.Missing } => Refusal.Because("job.not_found", "There is no such job."),
        { Status: JobStatus.Cancelled } or { CancelRequested: true } => [],
        { Status: JobStatus.Completed or JobStatus.Failed } =>
            Refusal.Because("job.ended", "The job has ended and cannot be cancelled."),
        { Attempt: { } attempt } => [new JobEvent.CancelRequested(attempt.AttemptId, command.At)],
        _ => [new JobEvent.Cancelled(command.At)],
    };

    public static void Map(RouteGroupBuilder jobs) =>
        jobs.MapPost("/{jobId}/cancel", Handle).ForAdmins().Idempotent().WithName(nameof(CancelJob))
            .ProducesProblem(StatusCodes.Status404NotFound).ProducesProblem(StatusCodes.Status409Conflict);

    private static async Task<Results<Ok<JobView>, ProblemHttpResult>> Handle(
        Caller caller, JobId jobId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        var command = new Command(clock.GetCurrentInstant());
        Attempt? attempt = null;

        var decided = await store.Decide<Job, JobEvent>(
            Job.Stream(caller.TenantId, jobId),
            job =>
            {
                attempt = job.Attempt;
                return Decide(command, job);
            },
            caller.Cause,
            cancellation,
            publish: events => events.OfType<JobEvent.CancelRequested>().Select(requested => new AddressedMessage(
                Queues.Worker(attempt!.Pool, attempt.WorkerId),
                new CancelAttempt(jobId, requested.AttemptId, caller.TenantId, command.At))));
        if (decided.Refusal is { } refusal)
            return refusal.ToProblem();

        return TypedResults.Ok(await JobView.Find(documents, caller.TenantId, jobId, cancellation));
    }
}
