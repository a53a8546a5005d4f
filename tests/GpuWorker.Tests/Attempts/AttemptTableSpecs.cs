using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Tests.Support;

namespace Platform.GpuWorker.Tests.Attempts;

[Collection(TorchTests.Name)]
public sealed class AttemptTableSpecs
{
    [Fact]
    public async Task An_attempt_delivered_ten_times_runs_once()
    {
        using var bench = new AttemptBench();
        var order = bench.Order(Orders.Train(epochs: 1));

        for (var i = 0; i < 5; i++)
            bench.Table.Accept(order);
        await bench.Ended(order);
        for (var i = 0; i < 5; i++)
            bench.Table.Accept(order);
        await bench.Ended(order);

        bench.Said.OfType<JobStarted>().ShouldHaveSingleItem();
        bench.Said.OfType<JobCompleted>().ShouldHaveSingleItem();
        bench.Table.Running.ShouldBe([order.AttemptId], "no broker has its end yet");
    }

    [Fact]
    public void An_attempt_that_may_run_elsewhere_is_not_started()
    {
        using var bench = new AttemptBench(train: 100, test: 100);
        var spec = Orders.Train();

        bench.Table.Accept(Orders.Attempt(bench.WorkerId, WorkerSessionId.New(), spec));
        bench.Table.Accept(Orders.Attempt(WorkerId.New(), bench.SessionId, spec));
        bench.Table.Accept(Orders.Attempt(bench.WorkerId, bench.SessionId, spec, startBefore: Orders.Now - Duration.FromMilliseconds(1)));
        bench.Lease.Confirm(TimeProvider.System.GetTimestamp() - TimeProvider.System.TimestampFrequency * 7200);
        bench.Table.Accept(bench.Order(spec));

        bench.Said.ShouldBeEmpty();
        bench.Table.Running.ShouldBeEmpty();
    }

    [Fact]
    public void A_cancellation_that_came_first_keeps_the_attempt_from_starting()
    {
        using var bench = new AttemptBench(train: 100, test: 100);
        var order = bench.Order(Orders.Train());

        bench.Table.Cancel(new(order.JobId, order.AttemptId, order.TenantId, Orders.Now));
        bench.Table.Accept(order);

        bench.Said.ShouldHaveSingleItem().ShouldBeOfType<JobStopped>().HandedBack.ShouldBeFalse();
    }

    [Fact]
    public async Task A_closed_worker_hands_back_and_takes_nothing_more()
    {
        using var bench = new AttemptBench();
        var order = bench.Order(Orders.Train(epochs: 1000));
        bench.Table.Accept(order);
        await bench.Hears<UsageReported>(order);

        await bench.Table.Close();
        bench.Table.Accept(bench.Order(Orders.Train()));

        bench.Said[^1].ShouldBeOfType<JobStopped>().HandedBack.ShouldBeTrue();
        bench.Said.OfType<JobStarted>().ShouldHaveSingleItem();
    }
}
