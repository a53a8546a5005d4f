using System.Globalization;
using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Jobs;
using Platform.GpuWorker.Tests.Support;
using Platform.GpuWorker.Torch;
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
        var wire = JsonDocument.Parse(bus.All.First(arrived => arrived.Message is WorkerRegistered).Body).RootElement;
        wire.GetProperty("message").GetProperty("worker_id").GetString().ShouldBe(worker.WorkerId.ToString());
        wire.GetProperty("messageType")[0].GetString().ShouldBe("urn:message:Platform.Contracts.Messages:WorkerRegistered");

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
        var spec = Orders.Train(epochs: 12, batchSize: 20, hidden: [64]);
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
        // The kill can fall between the writing of a checkpoint and the telling: then the file is one step further.
        var file = new ArtifactStore(folder["artifacts"]).PathOf(Orders.Tenant, checkpoint.Uri);
        var reached = long.Parse(TensorFile.Read(file).Metadata["step"], CultureInfo.InvariantCulture);
        reached.ShouldBeGreaterThanOrEqualTo(checkpoint.Step);
        var second = Orders.Attempt(after.WorkerId, after.SessionId, spec, first.JobId, number: 2, checkpoint);
        await bus.Send(after, second);
        var completed = await bus.WaitFor<JobCompleted>();

        completed.AttemptId.ShouldBe(second.AttemptId);
        completed.Metrics["test_accuracy"].ShouldBeGreaterThan(0.75m);
        var samplesBefore = Used(first).Sum(batch => batch.Use.Samples);
        var samplesAfter = Used(second).Sum(batch => batch.Use.Samples);
        samplesAfter.ShouldBe(12 * 5000 - reached * 20, "the second attempt trains only what is left");
        samplesBefore.ShouldBeGreaterThan(0);
        UsageChain.Verify(Used(first), before.PublicKey).ShouldBeNull();
        UsageChain.Verify(Used(second), after.PublicKey).ShouldBeNull();
    }

    [Fact]
    public async Task A_stopped_worker_hands_its_attempts_back_and_says_goodbye_last()
    {
        await using var process = Worker();
        var worker = await bus.WaitFor<WorkerRegistered>();
        var order = Orders.Attempt(worker.WorkerId, worker.SessionId, Orders.Train(epochs: 1000));
        await bus.Send(worker, order);
        await bus.WaitFor<UsageReported>();
        await process.IsReady();

        await process.Stop();

        process.ExitCode.ShouldBe(0);
        var drained = await bus.WaitFor<WorkerDrained>();
        drained.SessionId.ShouldBe(worker.SessionId);
        var story = Story(order.AttemptId);
        var stopped = story[^1].ShouldBeOfType<JobStopped>();
        stopped.HandedBack.ShouldBeTrue();
        var steps = stopped.Checkpoint.ShouldNotBeNull().Step;
        Used(order).Sum(batch => batch.Use.Samples).ShouldBe(steps * 50, "all that was done is metered, and nothing else");
        bus.All[^1].Message.ShouldBeOfType<WorkerDrained>();
        UsageChain.Verify(Used(order), worker.PublicKey).ShouldBeNull();
    }

    [Fact]
    public async Task Without_its_bus_a_worker_gives_up_by_itself_and_tells_everything_later()
    {
        await using var relay = TcpRelay.To(broker.Uri);
        await using var process = Worker(relay.Uri, lease: "00:00:05");
        var worker = await bus.WaitFor<WorkerRegistered>();
        var order = Orders.Attempt(worker.WorkerId, worker.SessionId, Orders.Train(epochs: 1000));
        await bus.Send(worker, order);
        await bus.WaitFor<UsageReported>();

        await relay.Cut();
        await process.Says("handed back");
        relay.Restore();

        var stopped = await bus.WaitFor<JobStopped>();
        stopped.HandedBack.ShouldBeTrue();
        await bus.WaitFor<WorkerHeartbeat>(heartbeat => heartbeat.At > stopped.At);
        bus.Of<WorkerRegistered>().Count.ShouldBeGreaterThan(1);
        bus.Of<WorkerRegistered>().ShouldAllBe(one => one.SessionId == worker.SessionId);

        // A message whose confirmation was cut off may come twice, under one id; taken once, nothing is missing.
        var once = bus.All.Where(arrived => arrived.Message is UsageReported).DistinctBy(arrived => arrived.MessageId)
            .Select(arrived => (UsageReported)arrived.Message).ToList();
        once.Select(batch => batch.Sequence).ShouldBe(Enumerable.Range(1, once.Count).Select(number => (long)number));
        UsageChain.Verify(once, worker.PublicKey).ShouldBeNull();
    }

    [Fact]
    public async Task A_worker_without_libtorch_or_settings_says_so_and_does_not_start()
    {
        await using var withoutTorch = WorkerProcess.Start(
            ("Bus__Uri", broker.Uri.ToString()), ("Worker__DataDirectory", folder["other"]), ("Artifacts__Root", folder["artifacts"]),
            ("PLATFORM_TORCH_LIBRARY", "/nowhere/libplatform_torch.so"));
        await using var withoutBus = WorkerProcess.Start(
            ("Worker__DataDirectory", folder["other"]), ("Artifacts__Root", folder["artifacts"]));

        await withoutTorch.Exited();
        withoutTorch.ExitCode.ShouldBe(1);
        withoutTorch.Output.ShouldContain("/nowhere/libplatform_torch.so");
        withoutTorch.Output.ShouldContain("GpuWorker/native/build");
        await withoutBus.Exited();
        withoutBus.ExitCode.ShouldBe(1);
        withoutBus.Output.ShouldContain("Bus__Uri is not set");
    }

    private WorkerProcess Worker(Uri? through = null, string lease = "00:00:30") => WorkerProcess.Start(
        ("Bus__Uri", (through ?? broker.Uri).ToString()),
        ("Worker__Name", "test"),
        ("Worker__DataDirectory", folder["worker"]),
        ("Artifacts__Root", folder["artifacts"]),
        ("Datasets__Root", folder["datasets"]),
        ("Worker__HeartbeatInterval", "00:00:00.2"),
        ("Worker__MeteringInterval", "00:00:00.2"),
        ("Worker__CheckpointInterval", "00:00:00.3"),
        ("Worker__LeaseTimeout", lease));

    private IReadOnlyList<UsageReported> Used(ExecuteJob attempt) =>
        [.. bus.Of<UsageReported>().Where(batch => batch.AttemptId == attempt.AttemptId)];

    private IReadOnlyList<object> Story(AttemptId attempt) =>
    [
        .. bus.All.Select(arrived => arrived.Message)
            .Where(message => message.GetType().GetProperty("AttemptId")?.GetValue(message) is AttemptId id && id == attempt),
    ];
}
