using System.Text;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Tests.Support;

namespace Platform.GpuWorker.Tests.Jobs;

[Collection(TorchTests.Name)]
public sealed class InferClassifierSpecs
{
    [Fact]
    public async Task Predictions_are_written_and_each_batch_is_one_call()
    {
        using var bench = new AttemptBench();
        var train = bench.Order(Orders.Train());
        await bench.Complete(train);

        var infer = bench.Order(Orders.Infer(train.JobId, samples: 300, batchSize: 64));
        var completed = await bench.Complete(infer);

        var lines = Encoding.UTF8.GetString(bench.Artifact(completed.ArtifactUri)).TrimEnd().Split('\n');
        lines[0].ShouldBe("sample,label,predicted");
        lines.Length.ShouldBe(301);
        var right = lines.Skip(1).Select(line => line.Split(',')).Count(columns => columns[1] == columns[2]);
        completed.Metrics["accuracy"].ShouldBe(Math.Round(right / 300m, 6));
        completed.Metrics["accuracy"].ShouldBeGreaterThan(0.5m);
        completed.Metrics["samples"].ShouldBe(300);
        var use = bench.Of(infer.AttemptId).OfType<UsageReported>().Select(batch => batch.Use).ToList();
        use.Sum(one => one.InferenceCalls).ShouldBe(5);
        use.Sum(one => one.Samples).ShouldBe(300);
    }

    [Fact]
    public async Task A_job_goes_on_where_it_was_stopped()
    {
        using var bench = new AttemptBench(checkpointSteps: 1);
        var train = bench.Order(Orders.Train());
        await bench.Complete(train);
        var straight = await bench.Complete(bench.Order(Orders.Infer(train.JobId, samples: 500, batchSize: 1)));

        var first = bench.Order(Orders.Infer(train.JobId, samples: 500, batchSize: 1));
        bench.Table.Accept(first);
        await bench.Hears<JobProgressed>(first);
        bench.Table.HandBackAll();
        await bench.Ended(first);
        var checkpoint = bench.Of(first.AttemptId)[^1].ShouldBeOfType<JobStopped>().Checkpoint.ShouldNotBeNull();
        checkpoint.Step.ShouldBeInRange(1, 499);
        var second = bench.Order(first.Spec, first.JobId, number: 2, checkpoint);
        var resumed = await bench.Complete(second);

        bench.Artifact(resumed.ArtifactUri).ShouldBe(bench.Artifact(straight.ArtifactUri));
        bench.Of(second.AttemptId).OfType<UsageReported>().Sum(batch => batch.Use.InferenceCalls).ShouldBe(500 - checkpoint.Step);
    }

    [Fact]
    public async Task Another_tenants_model_is_missing()
    {
        using var bench = new AttemptBench();
        var train = bench.Order(Orders.Train());
        await bench.Complete(train);

        var failed = await bench.Fail(bench.Order(Orders.Infer(train.JobId), tenant: TenantId.New()));

        failed.Code.ShouldBe("model.missing");
        failed.Retryable.ShouldBeFalse();
    }
}
