using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Tenants;
using Platform.Testing;
using static Platform.Scheduler.Tests.Jobs.JobHistory;

namespace Platform.Scheduler.Tests.Jobs;

using JobSpec = Spec<Job, JobEvent>;

public class SubmitJobSpecs
{
    private static readonly SubmitJob.Command Submit = new(Id, Tenant, Train(), new("on-demand", null, 500), AttemptsMax: 5, Noon);

    [Fact]
    public void A_new_job_is_submitted() =>
        JobSpec.Given().When(job => SubmitJob.Decide(Submit, Entitlements.Unlimited, OpenJobs.None, job)).Then(Submitted());

    [Fact]
    public void Submitting_again_finds_the_job_that_is_there() =>
        JobSpec.Given(Submitted(), Placed()).When(job => SubmitJob.Decide(Submit, Entitlements.Unlimited, OpenJobs.None, job)).ThenNothing();
}

public class PlaceJobSpecs
{
    private static PlaceJob.Command Place(AttemptId attempt) => new(
        attempt, Worker, Session, "on-demand", DeviceIndex: 0, Placed().StartBefore, Noon);

    [Fact]
    public void A_queued_job_is_placed_with_the_share_it_asked_for() =>
        JobSpec.Given(Submitted()).When(job => PlaceJob.Decide(Place(First), job)).Then(Placed());

    [Fact]
    public void A_job_whose_attempt_was_lost_is_placed_as_the_next_attempt() =>
        JobSpec.Given(Submitted(), Placed(), Lost())
            .When(job => PlaceJob.Decide(Place(Second), job))
            .Then(Placed(Second, number: 2));

    [Fact]
    public void A_placed_job_is_not_placed_twice() =>
        JobSpec.Given(Submitted(), Placed()).When(job => PlaceJob.Decide(Place(Second), job)).ThenNothing();

    [Fact]
    public void A_cancelled_job_is_not_placed() =>
        JobSpec.Given(Submitted(), new JobEvent.Cancelled(Noon)).When(job => PlaceJob.Decide(Place(First), job)).ThenNothing();
}

public class CancelJobSpecs
{
    private static readonly CancelJob.Command Cancel = new(Noon);

    [Fact]
    public void A_queued_job_is_cancelled_at_once() =>
        JobSpec.Given(Submitted()).When(job => CancelJob.Decide(Cancel, job)).Then(new JobEvent.Cancelled(Noon));

    [Fact]
    public void A_running_job_is_asked_to_stop() =>
        JobSpec.Given(Submitted(), Placed(), Started()).When(job => CancelJob.Decide(Cancel, job)).Then(CancelRequested());

    [Fact]
    public void Cancelling_twice_changes_nothing() =>
        JobSpec.Given(Submitted(), Placed(), CancelRequested()).When(job => CancelJob.Decide(Cancel, job)).ThenNothing();

    [Fact]
    public void A_completed_job_cannot_be_cancelled() =>
        JobSpec.Given(Submitted(), Placed(), Completed()).When(job => CancelJob.Decide(Cancel, job)).ThenRefused("job.ended");

    [Fact]
    public void A_job_that_does_not_exist_cannot_be_cancelled() =>
        JobSpec.Given().When(job => CancelJob.Decide(Cancel, job)).ThenRefused("job.not_found");
}

public class EndAttemptSpecs
{
    private static EndAttempt.Command End(AttemptOutcome outcome, Checkpoint? checkpoint = null, AttemptId? attempt = null) =>
        new(attempt ?? First, outcome, checkpoint, "gone", Noon);

    [Fact]
    public void A_lost_attempt_ends_and_the_job_keeps_its_checkpoint()
    {
        JobEvent[] history = [Submitted(), Placed(), Started(), Checkpointed(step: 40)];

        JobSpec.Given(history).When(job => EndAttempt.Decide(End(AttemptOutcome.Lost), job)).Then(Lost());
        EventStore.Fold.After(Job.Initial, [.. history, Lost()]).Checkpoint.ShouldBe(At(40));
    }

    [Fact]
    public void An_attempt_that_is_not_the_current_one_ends_nothing() =>
        JobSpec.Given(Submitted(), Placed(), Lost(), Placed(Second, number: 2))
            .When(job => EndAttempt.Decide(End(AttemptOutcome.Lost, attempt: First), job))
            .ThenNothing();

    [Fact]
    public void A_checkpoint_that_is_older_than_the_known_one_is_forgotten() =>
        JobSpec.Given(Submitted(), Placed(), Checkpointed(step: 40))
            .When(job => EndAttempt.Decide(End(AttemptOutcome.HandedBack, At(30)), job))
            .Then(new JobEvent.AttemptEnded(First, AttemptOutcome.HandedBack, Checkpoint: null, "gone", Noon));

    [Fact]
    public void The_last_lost_attempt_fails_the_job() =>
        JobSpec.Given(Submitted(attemptsMax: 2), Placed(), Lost(), Placed(Second, number: 2))
            .When(job => EndAttempt.Decide(End(AttemptOutcome.Lost, attempt: Second), job))
            .Then(
                Lost(Second),
                new JobEvent.Failed(null, "job.attempts_exhausted", "2 attempts ended without a result; the last one: gone", Noon));

    [Fact]
    public void Handing_back_spends_no_attempt() =>
        JobSpec.Given(Submitted(attemptsMax: 1), Placed())
            .When(job => EndAttempt.Decide(End(AttemptOutcome.HandedBack, At(3)), job))
            .Then(new JobEvent.AttemptEnded(First, AttemptOutcome.HandedBack, At(3), "gone", Noon));

    [Fact]
    public void A_job_that_was_to_be_cancelled_is_cancelled_when_its_attempt_is_lost() =>
        JobSpec.Given(Submitted(), Placed(), CancelRequested())
            .When(job => EndAttempt.Decide(End(AttemptOutcome.Lost), job))
            .Then(Lost(), new JobEvent.Cancelled(Noon));
}

public class RecordAttemptSpecs
{
    private static readonly JobStarted StartedMessage = new(Id, First, Tenant, Worker, Noon);

    private static JobFailed FailedMessage(bool retryable) =>
        new(Id, First, Tenant, Worker, "worker.fault", "out of luck", retryable, Noon);

    private static JobStopped StoppedMessage(bool handedBack) => new(Id, First, Tenant, Worker, handedBack, At(3), Noon);

    private static JobProgressed ProgressedMessage(Checkpoint? checkpoint) =>
        new(Id, First, Tenant, Worker, Fraction: 0.5m, "epoch 1", checkpoint, Noon);

    [Fact]
    public void The_worker_began() =>
        JobSpec.Given(Submitted(), Placed()).When(job => RecordAttempt.Started(StartedMessage, job)).Then(Started());

    [Fact]
    public void A_start_that_arrives_after_the_end_changes_nothing() =>
        JobSpec.Given(Submitted(), Placed(), Completed()).When(job => RecordAttempt.Started(StartedMessage, job)).ThenNothing();

    [Fact]
    public void A_start_of_an_earlier_attempt_changes_nothing() =>
        JobSpec.Given(Submitted(), Placed(), Lost(), Placed(Second, number: 2))
            .When(job => RecordAttempt.Started(StartedMessage, job))
            .ThenNothing();

    [Fact]
    public void Progress_without_a_checkpoint_is_no_event() =>
        JobSpec.Given(Submitted(), Placed(), Started())
            .When(job => RecordAttempt.Progressed(ProgressedMessage(checkpoint: null), job))
            .ThenNothing();

    [Fact]
    public void A_new_checkpoint_is_kept() =>
        JobSpec.Given(Submitted(), Placed(), Started())
            .When(job => RecordAttempt.Progressed(ProgressedMessage(At(40)), job))
            .Then(Checkpointed(step: 40));

    [Fact]
    public void A_checkpoint_never_goes_back() =>
        JobSpec.Given(Submitted(), Placed(), Started(), Checkpointed(step: 40))
            .When(job => RecordAttempt.Progressed(ProgressedMessage(At(30)), job))
            .ThenNothing();

    [Fact]
    public void A_completion_that_overtakes_the_start_counts()
    {
        var completed = Completed();

        JobSpec.Given(Submitted(), Placed())
            .When(job => RecordAttempt.Completed(
                new(Id, First, Tenant, Worker, completed.ArtifactUri, completed.Metrics, Noon), job))
            .Then(completed);
    }

    [Fact]
    public void Work_that_is_done_is_done_even_when_it_was_to_be_cancelled()
    {
        var job = EventStore.Fold.After(Job.Initial, new JobEvent[] { Submitted(), Placed(), Started(), CancelRequested() });

        RecordAttempt.Completed(new(Id, First, Tenant, Worker, null, Completed().Metrics, Noon), job)
            .ShouldHaveSingleItem().ShouldBeOfType<JobEvent.Completed>();
    }

    [Fact]
    public void A_fault_of_the_job_fails_it() =>
        JobSpec.Given(Submitted(), Placed())
            .When(job => RecordAttempt.Failed(FailedMessage(retryable: false), job))
            .Then(new JobEvent.Failed(First, "worker.fault", "out of luck", Noon));

    [Fact]
    public void A_fault_of_the_worker_queues_the_job_again() =>
        JobSpec.Given(Submitted(), Placed())
            .When(job => RecordAttempt.Failed(FailedMessage(retryable: true), job))
            .Then(new JobEvent.AttemptEnded(First, AttemptOutcome.Faulted, null, "worker.fault: out of luck", Noon));

    [Fact]
    public void A_job_that_was_handed_back_goes_on_from_the_checkpoint() =>
        JobSpec.Given(Submitted(), Placed())
            .When(job => RecordAttempt.Stopped(StoppedMessage(handedBack: true), job))
            .Then(new JobEvent.AttemptEnded(First, AttemptOutcome.HandedBack, At(3), "The worker shut down.", Noon));

    [Fact]
    public void A_stop_that_was_asked_for_cancels_the_job() =>
        JobSpec.Given(Submitted(), Placed(), CancelRequested())
            .When(job => RecordAttempt.Stopped(StoppedMessage(handedBack: false), job))
            .Then(
                new JobEvent.AttemptEnded(First, AttemptOutcome.Stopped, At(3), "The worker stopped the attempt.", Noon),
                new JobEvent.Cancelled(Noon));
}
