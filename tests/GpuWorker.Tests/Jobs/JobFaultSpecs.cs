using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Jobs;
using Platform.GpuWorker.Tests.Support;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Tests.Jobs;

[Collection(TorchTests.Name)]
public sealed class JobFaultSpecs
{
    private static readonly JobId nothing = JobId.New();

    public static TheoryData<string, JobSpec, string> Wrong => new()
    {
        { "dataset.unknown", Orders.Train(dataset: "imagenet"), "imagenet" },
        { "dataset.unknown", Orders.Infer(nothing, dataset: "../../etc"), "../../etc" },
        { "spec.invalid", Orders.Train(epochs: 0), "epochs" },
        { "spec.invalid", Orders.Train(epochs: 1001), "epochs" },
        { "spec.invalid", Orders.Train(batchSize: 0), "batch_size" },
        { "spec.invalid", Orders.Train(batchSize: 65_537), "batch_size" },
        { "spec.invalid", Orders.Train(learningRate: 0), "learning_rate" },
        { "spec.invalid", Orders.Train(learningRate: 1.1m), "learning_rate" },
        { "spec.invalid", Orders.Train(hidden: [0]), "hidden_sizes" },
        { "spec.invalid", Orders.Train(hidden: [16_385]), "hidden_sizes" },
        { "spec.invalid", Orders.Train(hidden: [.. Enumerable.Repeat(1, 17)]), "hidden_sizes" },
        { "spec.invalid", Orders.Infer(nothing, samples: 0), "samples" },
        { "spec.invalid", Orders.Infer(nothing, batchSize: 0), "batch_size" },
        { "model.missing", Orders.Infer(nothing), "no model" },
    };

    [Theory]
    [MemberData(nameof(Wrong), DisableDiscoveryEnumeration = true)]
    public async Task A_wrong_spec_fails_with_its_code_and_is_not_tried_again(string code, JobSpec spec, string reason)
    {
        using var bench = new AttemptBench(train: 100, test: 100);

        var failed = await bench.Fail(bench.Order(spec));

        failed.Code.ShouldBe(code);
        failed.Reason.ShouldContain(reason);
        failed.Retryable.ShouldBeFalse();
    }

    [Fact]
    public async Task More_samples_than_the_split_holds_are_refused()
    {
        using var bench = new AttemptBench(train: 100, test: 100);
        var train = bench.Order(Orders.Train());
        await bench.Complete(train);

        var failed = await bench.Fail(bench.Order(Orders.Infer(train.JobId, samples: 101)));

        failed.Code.ShouldBe("spec.invalid");
        failed.Reason.ShouldContain("at most 100");
    }

    [Fact]
    public async Task A_model_that_cannot_fit_is_refused_before_it_is_made()
    {
        using var bench = new AttemptBench(train: 100, test: 100, memoryBytes: 64 << 20);

        (await bench.Fail(bench.Order(Orders.Train(hidden: [16_384])))).Code.ShouldBe("device.out_of_memory");
        await bench.Complete(bench.Order(Orders.Train(hidden: [16])));
    }

    [Fact]
    public void Memory_that_runs_out_while_it_works_is_the_jobs_fault_and_anything_else_the_workers()
    {
        var memory = JobFaultException.From(new TorchOutOfMemoryException("DefaultCPUAllocator"));
        (memory.Code, memory.Retryable).ShouldBe(("device.out_of_memory", false));

        var other = JobFaultException.From(new IOException("disk"));
        (other.Code, other.Retryable).ShouldBe(("worker.fault", true));
    }

    [Fact]
    public async Task A_worker_without_the_dataset_is_at_fault_itself()
    {
        using var bench = new AttemptBench(train: 0);

        var failed = await bench.Fail(bench.Order(Orders.Train()));

        (failed.Code, failed.Retryable).ShouldBe(("worker.fault", true));
    }

    [Fact]
    public async Task A_loss_that_is_no_number_fails_the_job()
    {
        using var bench = new AttemptBench(train: 100, test: 100);
        var first = bench.Order(Orders.Train(epochs: 100));
        bench.Table.Accept(first);
        await bench.Hears<UsageReported>(first);
        bench.Table.HandBackAll();
        await bench.Ended(first);
        var checkpoint = bench.Of(first.AttemptId)[^1].ShouldBeOfType<JobStopped>().Checkpoint.ShouldNotBeNull();
        var path = bench.Artifacts.PathOf(Orders.Tenant, checkpoint.Uri);
        var file = TensorFile.Read(path);
        var weights = file.Tensors["layers.0.weight"].Data;
        for (var i = 0; i < weights.Length; i += sizeof(float))
            BitConverter.TryWriteBytes(weights.AsSpan(i), float.NaN);
        file.Write(path);

        var failed = await bench.Fail(bench.Order(first.Spec, first.JobId, number: 2, checkpoint));

        (failed.Code, failed.Retryable).ShouldBe(("training.diverged", false));
    }

    [Fact]
    public async Task A_checkpoint_of_another_tenant_or_of_another_job_is_refused()
    {
        using var bench = new AttemptBench(train: 100, test: 100);
        var first = bench.Order(Orders.Train(epochs: 1000));
        bench.Table.Accept(first);
        await bench.Hears<UsageReported>(first);
        bench.Table.HandBackAll();
        await bench.Ended(first);
        var checkpoint = bench.Of(first.AttemptId)[^1].ShouldBeOfType<JobStopped>().Checkpoint.ShouldNotBeNull();

        (await bench.Fail(bench.Order(first.Spec, first.JobId, 2, checkpoint, TenantId.New()))).Code.ShouldBe("spec.invalid");
        (await bench.Fail(bench.Order(Orders.Train(seed: 99), first.JobId, 2, checkpoint))).Code.ShouldBe("spec.invalid");
    }

    [Theory]
    [InlineData("file:../../etc/passwd")]
    [InlineData("file:/etc/passwd")]
    [InlineData("file:0190b4c0-0000-7000-8000-00000000000a/../other/model")]
    [InlineData("http://elsewhere/model")]
    [InlineData("file:0190b4c0-0000-7000-8000-00000000000abc/job/model")]
    public void A_uri_never_leaves_the_tenants_part_of_the_store(string uri)
    {
        using var folder = new TemporaryFolder();
        var store = new ArtifactStore(folder.Path);

        Should.Throw<UnauthorizedAccessException>(() => store.PathOf(Orders.Tenant, uri));
    }
}
