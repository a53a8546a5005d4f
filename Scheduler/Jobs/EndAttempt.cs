using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Scheduler.Jobs;

/// <summary>
/// Ends the attempt that holds the job's device, and says what becomes of the job: it is queued again with its newest
/// checkpoint, or cancelled if its tenant asked for that, or failed when its attempts are used up.
/// </summary>
public static class EndAttempt
{
    public const string AttemptsExhausted = "job.attempts_exhausted";

    /// <param name="Reason">For people.</param>
    public sealed record Command(
        AttemptId AttemptId, AttemptOutcome Outcome, Checkpoint? Checkpoint, string Reason, Instant At);

    public static Decision<JobEvent> Decide(Command command, Job job)
    {
        if (!job.IsCurrent(command.AttemptId))
            return [];

        // A worker that stopped early may know less than an earlier report.
        var checkpoint = command.Checkpoint is { } newer && newer.Step > (job.Checkpoint?.Step ?? -1) ? newer : null;
        var ended = new JobEvent.AttemptEnded(command.AttemptId, command.Outcome, checkpoint, command.Reason, command.At);
        var after = Job.Evolve(job, ended);

        return after switch
        {
            { CancelRequested: true } => [ended, new JobEvent.Cancelled(command.At)],
            _ when after.AttemptsSpent >= after.AttemptsMax =>
            [
                ended,
                new JobEvent.Failed(
                    AttemptId: null, AttemptsExhausted,
                    $"{after.AttemptsSpent} attempts ended without a result; the last one: {command.Reason}", command.At),
            ],
            _ => [ended],
        };
    }
}
