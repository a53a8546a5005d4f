using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Tests.Support;
using Platform.Testing;

namespace Platform.GpuWorker.Tests.Bus;

/// <summary>The real worker process on a real broker and real images.</summary>
public sealed class WorkerEndToEndSpecs : IAsyncLifetime
{
    private readonly TemporaryFolder folder = new();
    private TestBroker broker = null!;
    private TestBus bus = null!;

    public async ValueTask InitializeAsync()
    {
        broker = await TestBroker.Create();
        bus = await TestBus.Start(broker.Uri);
        SmallFashion.Create(folder["datasets"], train: 5000, test: 1000);
    }

    public async ValueTask DisposeAsync()
    {
        await bus.DisposeAsync();
        await broker.DisposeAsync();
        folder.Dispose();
    }

    [Fact]
    public async Task A_train_job_and_an_infer_job_run_metered_from_the_queue()
    {
        await using var process = Worker();
        var worker = await bus.WaitFor<WorkerRegistered>();
        worker.Devices.ShouldHaveSingleItem().Flavor.ShouldBe("cpu");

        var train = Orders.Attempt(worker.WorkerId, worker.SessionId, Orders.Train(epochs: 3));
        await bus.Send(worker, train);
        var trained = await bus.WaitFor<JobCompleted>(completed => completed.AttemptId == train.AttemptId);
        trained.Metrics["test_accuracy"].ShouldBeGreaterThan(0.75m);
        trained.ArtifactUri.ShouldBe($"file:{Orders.Tenant}/{train.JobId}/model.safetensors");

        var infer = Orders.Attempt(worker.WorkerId, worker.SessionId, Orders.Infer(train.JobId, samples: 1000, batchSize: 128));
        await bus.Send(worker, infer);
        var inferred = await bus.WaitFor<JobCompleted>(completed => completed.AttemptId == infer.AttemptId);
        inferred.Metrics["samples"].ShouldBe(1000);
        inferred.Metrics["accuracy"].ShouldBe(trained.Metrics["test_accuracy"]);

        // Every attempt's story has one order, and its usage verifies with the key that the worker registered.
        foreach (var attempt in new[] { train, infer })
        {
            var story = Story(attempt.AttemptId);
            story[0].ShouldBeOfType<JobStarted>();
            story[^1].ShouldBeOfType<JobCompleted>();
            story[^2].ShouldBeOfType<UsageReported>();
            UsageChain.Verify(story.OfType<UsageReported>(), worker.PublicKey).ShouldBeNull();
        }

        Used(train).Sum(batch => batch.Use.Samples).ShouldBe(3 * 5000);
        Used(train).Sum(batch => batch.Use.GpuMilliseconds).ShouldBeGreaterThan(0);
        Used(infer).Sum(batch => batch.Use.InferenceCalls).ShouldBe(8);
        Used(infer).Sum(batch => batch.Use.Samples).ShouldBe(1000);
        (await bus.WaitFor<WorkerHeartbeat>()).SessionId.ShouldBe(worker.SessionId);
    }

    [Fact]
    public async Task After_kill_minus_9_the_spool_is_delivered_and_the_next_attempt_goes_on_from_the_checkpoint()
    {
        var spec = Orders.Train(epochs: 30, batchSize: 20);
        ExecuteJob first;
        WorkerRegistered before;
        await using (var process = Worker())
        {
            before = await bus.WaitFor<WorkerRegistered>();
            first = Orders.Attempt(before.WorkerId, before.SessionId, spec);
            await bus.Send(before, first);
            await bus.WaitFor<JobProgressed>(progress => progress.Checkpoint is { Step: > 100 });
            await process.Kill();
        }

        await using var again = Worker();
        var after = await bus.WaitFor<WorkerRegistered>(worker => worker.SessionId != before.SessionId);
        after.WorkerId.ShouldBe(before.WorkerId);
        after.PublicKey.ShouldBe(before.PublicKey);

        // Registration follows the spool, so the last progress that was ever written has arrived by now.
        var checkpoint = bus.Of<JobProgressed>()[^1].Checkpoint.ShouldNotBeNull();
        var second = Orders.Attempt(after.WorkerId, after.SessionId, spec, first.JobId, number: 2, checkpoint);
        await bus.Send(after, second);
        var completed = await bus.WaitFor<JobCompleted>();

        completed.AttemptId.ShouldBe(second.AttemptId);
        completed.Metrics["test_accuracy"].ShouldBeGreaterThan(0.75m);
        var samplesBefore = Used(first).Sum(batch => batch.Use.Samples);
        var samplesAfter = Used(second).Sum(batch => batch.Use.Samples);
        samplesAfter.ShouldBe(30 * 5000 - checkpoint.Step * 20, "the second attempt trains only what is left");
        samplesBefore.ShouldBeGreaterThan(0);
        UsageChain.Verify(Used(first), before.PublicKey).ShouldBeNull();
        UsageChain.Verify(Used(second), after.PublicKey).ShouldBeNull();
    }

    private WorkerProcess Worker(Uri? through = null) => WorkerProcess.Start(
        ("Bus__Uri", (through ?? broker.Uri).ToString()),
        ("Worker__Name", "test"),
        ("Worker__DataDirectory", folder["worker"]),
        ("Artifacts__Root", folder["artifacts"]),
        ("Datasets__Root", folder["datasets"]),
        ("Worker__HeartbeatInterval", "00:00:00.2"),
        ("Worker__MeteringInterval", "00:00:00.2"),
        ("Worker__CheckpointInterval", "00:00:00.3"),
        ("Worker__LeaseTimeout", "00:00:03"));

    private IReadOnlyList<UsageReported> Used(ExecuteJob attempt) =>
        [.. bus.Of<UsageReported>().Where(batch => batch.AttemptId == attempt.AttemptId)];

    private IReadOnlyList<object> Story(AttemptId attempt) =>
    [
        .. bus.All.Select(arrived => arrived.Message)
            .Where(message => message.GetType().GetProperty("AttemptId")?.GetValue(message) is AttemptId id && id == attempt),
    ];
}
