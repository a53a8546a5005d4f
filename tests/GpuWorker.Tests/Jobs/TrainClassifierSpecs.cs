using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Tests.Support;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Tests.Jobs;

[Collection(TorchTests.Name)]
public sealed class TrainClassifierSpecs
{
    [Fact]
    public async Task Training_learns_to_tell_real_images_apart()
    {
        using var bench = new AttemptBench(train: 6000, test: 1000);

        var completed = await bench.Complete(bench.Order(Orders.Train(epochs: 3, batchSize: 64, hidden: [64])));

        completed.Metrics["test_accuracy"].ShouldBeGreaterThan(0.78m);
        completed.Metrics["train_loss"].ShouldBeInRange(0.1m, 0.6m);
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_model_and_another_seed_another()
    {
        using var bench = new AttemptBench();

        var first = await bench.Complete(bench.Order(Orders.Train(seed: 7)));
        var second = await bench.Complete(bench.Order(Orders.Train(seed: 7)));
        var other = await bench.Complete(bench.Order(Orders.Train(seed: 8)));

        bench.Artifact(second.ArtifactUri).ShouldBe(bench.Artifact(first.ArtifactUri));
        second.Metrics.ShouldBe(first.Metrics);
        bench.Artifact(other.ArtifactUri).ShouldNotBe(bench.Artifact(first.ArtifactUri));
    }

    /// <summary>Steps of 1000 images in batches of 64: 16 per epoch, the last one smaller, so every 7th lies within one.</summary>
    [Fact]
    public async Task A_job_stopped_and_resumed_ends_bit_for_bit_as_one_that_was_not()
    {
        using var bench = new AttemptBench(checkpointSteps: 7);
        var spec = Orders.Train(epochs: 40, batchSize: 64);
        var straight = await bench.Complete(bench.Order(spec));

        var first = bench.Order(spec);
        bench.Table.Accept(first);
        await bench.Hears<JobProgressed>(first);
        bench.Table.HandBackAll();
        await bench.Ended(first);
        var stopped = bench.Of(first.AttemptId)[^1].ShouldBeOfType<JobStopped>();
        stopped.HandedBack.ShouldBeTrue();
        var checkpoint = stopped.Checkpoint.ShouldNotBeNull();
        checkpoint.Step.ShouldBeInRange(7, 16 * 40 - 1);
        var resumed = await bench.Complete(bench.Order(spec, first.JobId, number: 2, checkpoint));

        bench.Artifact(resumed.ArtifactUri).ShouldBe(bench.Artifact(straight.ArtifactUri));
        resumed.Metrics.ShouldBe(straight.Metrics);
        Samples(bench, first.AttemptId).ShouldBe(SamplesUpTo(checkpoint.Step));
        Samples(bench, resumed.AttemptId).ShouldBe(40 * 1000 - SamplesUpTo(checkpoint.Step));
        File.Exists(bench.Artifacts.PathOf(Orders.Tenant, checkpoint.Uri)).ShouldBeFalse("a finished job needs no checkpoint");

        static long SamplesUpTo(long step) => step / 16 * 1000 + step % 16 * 64;
    }

    [Fact]
    public async Task A_lost_or_broken_checkpoint_costs_the_work_but_not_the_job()
    {
        using var bench = new AttemptBench();
        var spec = Orders.Train(epochs: 1);
        var straight = await bench.Complete(bench.Order(spec));
        var job = JobId.New();
        var uri = $"file:{Orders.Tenant}/{job}/checkpoint-1.safetensors";

        var lost = await bench.Complete(bench.Order(spec, job, number: 2, new(uri, Step: 5)));
        await File.WriteAllTextAsync(bench.Artifacts.PathOf(Orders.Tenant, uri), "garbage", TestContext.Current.CancellationToken);
        var broken = await bench.Complete(bench.Order(spec, job, number: 3, new(uri, Step: 5)));

        lost.Metrics.ShouldBe(straight.Metrics);
        broken.Metrics.ShouldBe(straight.Metrics);
    }

    [Fact]
    public async Task A_cancelled_attempt_stops_at_the_next_step()
    {
        using var bench = new AttemptBench();
        var order = bench.Order(Orders.Train(epochs: 1000));
        bench.Table.Accept(order);
        await bench.Hears<UsageReported>(order);

        bench.Table.Cancel(new(order.JobId, order.AttemptId, order.TenantId, Orders.Now));
        await bench.Ended(order);

        var stopped = bench.Of(order.AttemptId)[^1].ShouldBeOfType<JobStopped>();
        stopped.HandedBack.ShouldBeFalse();
        Samples(bench, order.AttemptId).ShouldBe(stopped.Checkpoint!.Step * 50, "all that was done is metered, and nothing else");
    }

    [Fact]
    public async Task Attempts_that_share_a_device_take_turns()
    {
        using var bench = new AttemptBench(checkpointSteps: 5);
        var first = bench.Order(Orders.Train(epochs: 1000), gpuMilli: 500);
        var second = bench.Order(Orders.Train(epochs: 1000), gpuMilli: 500);
        bench.Table.Accept(first);
        bench.Table.Accept(second);

        var early = await bench.Hears<JobProgressed>(first);
        await bench.Hears<JobProgressed>(second);
        await bench.Hears<JobProgressed>(first, progress => progress.Checkpoint!.Step > early.Checkpoint!.Step);

        bench.Table.Working.Count.ShouldBe(2);
    }

    [Fact]
    public async Task Nothing_native_is_left_when_attempts_have_ended()
    {
        var before = TorchLibrary.LiveHandles;
        using var bench = new AttemptBench();
        var train = bench.Order(Orders.Train());
        await bench.Complete(train);
        await bench.Complete(bench.Order(Orders.Infer(train.JobId)));
        await bench.Fail(bench.Order(Orders.Infer(JobId.New())));
        var cancelled = bench.Order(Orders.Train(epochs: 1000));
        bench.Table.Accept(cancelled);
        await bench.Hears<UsageReported>(cancelled);
        bench.Table.HandBackAll();
        await bench.Ended(cancelled);

        TorchLibrary.LiveHandles.ShouldBe(before);
    }

    private static long Samples(AttemptBench bench, AttemptId attempt) =>
        bench.Of(attempt).OfType<UsageReported>().Sum(batch => batch.Use.Samples);
}
