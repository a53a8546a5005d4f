using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;

namespace Platform.Scheduler.Tests.Running;

/// <summary>A scripted worker on the real bus drives jobs through their lives.</summary>
public sealed class JobLifeSpecs(SchedulerWorld world) : IClassFixture<SchedulerWorld>
{
    [Fact]
    public async Task A_job_is_placed_run_and_completed()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();

        var job = await tenant.Submit(worker, gpuMilli: 250);
        var order = await worker.TakeOrder();

        order.JobId.ShouldBe(job.JobId);
        order.TenantId.ShouldBe(tenant.TenantId);
        order.SessionId.ShouldBe(worker.Session);
        order.AttemptNumber.ShouldBe(1);
        order.Spec.ShouldBe(job.Spec);
        order.Device.ShouldBe(new DeviceShare(0, 250));
        order.Checkpoint.ShouldBeNull();
        await Eventually.True(() => Task.FromResult(world.Bus.JobsPlaced.Any(placed => placed.AttemptId == order.AttemptId)));

        await worker.Started(order);
        await tenant.Job(job.JobId, JobStatus.Running);
        await worker.Progressed(order, 0.5m, step: 100);
        await Eventually.True(async () => await tenant.Job(job.JobId) is { Progress.Fraction: 0.5m, Checkpoint.Step: 100 });

        await worker.Completed(order);
        var done = await tenant.Job(job.JobId, JobStatus.Completed);
        done.Metrics!["test_accuracy"].ShouldBe(0.875m);
        done.ArtifactUri.ShouldBe($"file:///models/{job.JobId}");
        done.Progress.ShouldBeNull();
        (await world.Scheduler.History(tenant.TenantId, job.JobId)).Select(e => e.GetType().Name)
            .ShouldBe(["Submitted", "Placed", "Started", "Checkpointed", "Completed"]);

        // The model is there now, so it can be used.
        using var inferred = await tenant.Post(
            "/v1/jobs",
            $$$"""{"spec":{"kind":"infer","trained_by":"{{{job.JobId}}}","dataset":"fashion-mnist","samples":100,"batch_size":50},"flavor":"{{{worker.Flavor}}}"}""");
        inferred.EnsureSuccessStatusCode();
        var inference = await worker.TakeOrder();
        inference.Spec.ShouldBe(new InferJob(job.JobId, "fashion-mnist", 100, 50));
        inference.Device.GpuMilli.ShouldBe(1000);
        await worker.Completed(inference);
        await worker.Drained();
    }

    [Fact]
    public async Task A_message_that_comes_ten_times_has_one_effect()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(worker);
        var first = await worker.TakeOrder();

        var failure = Guid.CreateVersion7();
        for (var i = 0; i < 10; i++)
            await worker.Failed(first, retryable: true, failure);
        var second = await worker.TakeOrder();
        second.AttemptNumber.ShouldBe(2);
        var completion = Guid.CreateVersion7();
        for (var i = 0; i < 10; i++)
            await worker.Completed(second, completion);
        await tenant.Job(job.JobId, JobStatus.Completed);
        for (var i = 0; i < 10; i++)
            await worker.Completed(second);     // even under another message id
        await Clock.Wait(0.5);

        (await world.Scheduler.History(tenant.TenantId, job.JobId)).Select(e => e.GetType().Name)
            .ShouldBe(["Submitted", "Placed", "AttemptEnded", "Placed", "Completed"]);
        worker.HasOrder.ShouldBeFalse();
        await worker.Drained();
    }

    [Fact]
    public async Task A_lost_workers_job_goes_on_elsewhere_from_its_checkpoint_and_late_reports_change_nothing()
    {
        await using var doomed = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(doomed);
        var lost = await doomed.TakeOrder();
        await doomed.Started(lost);
        await doomed.Progressed(lost, 0.4m, step: 400);
        await Eventually.True(async () => (await tenant.Job(job.JobId)).Checkpoint is { Step: 400 });

        await doomed.Silence();
        await using var heir = await ScriptedWorker.Start(world, like: doomed);
        var order = await heir.TakeOrder();

        // Never two at once: the lease (3 s) and the time to start (4 s after placing) are over.
        Clock.Now.ShouldBeGreaterThan(lost.StartBefore);
        order.AttemptNumber.ShouldBe(2);
        order.AttemptId.ShouldNotBe(lost.AttemptId);
        order.Checkpoint.ShouldBe(new Checkpoint("file:///checkpoints/400", 400));

        await doomed.Progressed(lost, 0.9m, step: 900);
        await doomed.Completed(lost);
        await Clock.Wait(0.5);
        var still = await tenant.Job(job.JobId);
        still.Status.ShouldBe(JobStatus.Placed);
        still.Checkpoint!.Step.ShouldBe(400);
        still.Progress.ShouldBeNull();

        await heir.Completed(order);
        (await tenant.Job(job.JobId, JobStatus.Completed)).Attempts.Select(a => a.Outcome)
            .ShouldBe([AttemptOutcome.Lost, null]);
        await heir.Drained();
    }

    [Fact]
    public async Task A_new_session_of_a_worker_gets_the_job_of_the_session_before_at_once()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(worker);
        var first = await worker.TakeOrder();
        await worker.Started(first);
        await worker.Progressed(first, 0.3m, step: 30);
        await Eventually.True(async () => (await tenant.Job(job.JobId)).Checkpoint is { Step: 30 });

        var restarted = Clock.Now;
        await worker.Register();
        var second = await worker.TakeOrder();

        second.SessionId.ShouldBe(worker.Session);
        second.Checkpoint!.Step.ShouldBe(30);
        (Clock.Now - restarted).TotalSeconds.ShouldBeLessThan(2, "it must not wait for the lease");
        await worker.Completed(second);
        await tenant.Job(job.JobId, JobStatus.Completed);
        await worker.Drained();
    }

    [Fact]
    public async Task A_worker_that_is_heard_but_does_not_run_its_attempt_loses_it()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(worker);
        var first = await worker.TakeOrder();
        worker.Forget(first.AttemptId);

        var second = await worker.TakeOrder();

        second.AttemptNumber.ShouldBe(2);
        Clock.Now.ShouldBeGreaterThan(first.StartBefore);
        (await tenant.Job(job.JobId)).Attempts[0].Reason.ShouldBe("The worker does not run the attempt.");
        await worker.Completed(second);
        await tenant.Job(job.JobId, JobStatus.Completed);
        await worker.Drained();
    }

    [Fact]
    public async Task A_worker_that_is_heard_again_takes_work_again()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var @operator = await world.Tenant(ApiKeyScope.Operator, TenantId.Operator);
        var tenant = await world.Tenant();
        await StatusOf(worker, @operator, WorkerStatus.Active);

        await worker.Silence();
        await StatusOf(worker, @operator, WorkerStatus.Lost);
        var job = await tenant.Submit(worker);
        await Clock.Wait(1.2);
        worker.HasOrder.ShouldBeFalse();

        worker.Beat();
        await worker.Completed(await worker.TakeOrder());
        await tenant.Job(job.JobId, JobStatus.Completed);
        await worker.Drained();
        await StatusOf(worker, @operator, WorkerStatus.Drained);
    }

    [Fact]
    public async Task A_running_job_is_cancelled_when_its_worker_has_stopped_it()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(worker);
        var order = await worker.TakeOrder();
        await worker.Started(order);
        await tenant.Job(job.JobId, JobStatus.Running);

        using var asked = await tenant.Post($"/v1/jobs/{job.JobId}/cancel");
        (await Tenant.Read<JobView>(asked)).CancelRequested.ShouldBeTrue();
        var cancellation = await worker.TakeCancellation();
        cancellation.AttemptId.ShouldBe(order.AttemptId);
        (await tenant.Job(job.JobId)).Status.ShouldBe(JobStatus.Running);

        await worker.Stopped(order, handedBack: false, step: 12);
        await tenant.Job(job.JobId, JobStatus.Cancelled);
        await worker.Drained();
    }

    [Fact]
    public async Task A_job_that_was_to_be_cancelled_is_not_placed_again_when_its_worker_is_lost()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(worker);
        await worker.TakeOrder();
        using var asked = await tenant.Post($"/v1/jobs/{job.JobId}/cancel");

        await worker.Register();

        await tenant.Job(job.JobId, JobStatus.Cancelled);
        await worker.Drained();
    }

    [Fact]
    public async Task A_worker_that_shuts_down_hands_its_job_back()
    {
        await using var leaving = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(leaving);
        var order = await leaving.TakeOrder();
        await leaving.Started(order);

        await leaving.Drained();
        await leaving.Stopped(order, handedBack: true, step: 77);
        await leaving.Silence();
        await using var staying = await ScriptedWorker.Start(world, like: leaving);
        var next = await staying.TakeOrder();

        next.Checkpoint!.Step.ShouldBe(77);
        (await tenant.Job(job.JobId)).Attempts[0].Outcome.ShouldBe(AttemptOutcome.HandedBack);
        await staying.Completed(next);
        await tenant.Job(job.JobId, JobStatus.Completed);
        await staying.Drained();
    }

    [Fact]
    public async Task A_job_fails_for_good_by_its_own_fault_or_when_its_attempts_are_used_up()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();

        var wrong = await tenant.Submit(worker);
        await worker.Failed(await worker.TakeOrder(), retryable: false);
        (await tenant.Job(wrong.JobId, JobStatus.Failed)).Failure.ShouldBe(new("worker.fault", "broken"));

        var unlucky = await tenant.Submit(worker);
        for (var attempt = 1; attempt <= 5; attempt++)
        {
            var order = await worker.TakeOrder();
            order.AttemptNumber.ShouldBe(attempt);
            await worker.Failed(order, retryable: true);
        }

        (await tenant.Job(unlucky.JobId, JobStatus.Failed)).Failure!.Code.ShouldBe("job.attempts_exhausted");
        await Clock.Wait(0.3);
        worker.HasOrder.ShouldBeFalse();
        await worker.Drained();
    }

    private static async Task StatusOf(ScriptedWorker worker, Tenant @operator, WorkerStatus status) => await Eventually.True(async () =>
    {
        using var response = await @operator.Get("/v1/workers?limit=200");
        var workers = (await Tenant.Read<ServiceDefaults.Page<ListWorkers.FleetWorker>>(response.EnsureSuccessStatusCode())).Items;
        return workers.SingleOrDefault(known => known.WorkerId == worker.Id)?.Status == status;
    });
}
