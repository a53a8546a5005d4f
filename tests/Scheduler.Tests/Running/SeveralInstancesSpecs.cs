using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;

namespace Platform.Scheduler.Tests.Running;

/// <summary>Two processes on one database do each thing once, and go on where the other, or a restarted one, stopped.</summary>
public sealed class SeveralInstancesSpecs(SeveralInstancesSpecs.EverySecond world) : IClassFixture<SeveralInstancesSpecs.EverySecond>
{
    public sealed class EverySecond : SchedulerWorld
    {
        // Nobody is lost here: a loaded machine may be silent for longer than the short timeouts of the other tests.
        protected override IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>
        {
            ["Recurring:CloseBillingPeriodsCron"] = "* * * * * ?",
            ["Fleet:LeaseTimeout"] = "00:01:00",
            ["Fleet:MissingTimeout"] = "00:01:00",
            ["Placement:StartTimeout"] = "00:01:00",
        };
    }

    [Fact]
    public async Task Each_job_is_placed_once_each_period_closed_once_and_the_survivor_goes_on()
    {
        var second = await world.StartInstance();
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();

        // Thirty jobs of 200 thousandths: six rounds on one device.
        var jobs = new List<JobId>();
        for (var i = 0; i < 30; i++)
            jobs.Add((await tenant.Submit(worker, gpuMilli: 200)).JobId);
        var orders = new List<ExecuteJob>();
        for (var round = 0; round < 6; round++)
        {
            var taken = new List<ExecuteJob>();
            for (var i = 0; i < 5; i++)
                taken.Add(await worker.TakeOrder());
            await Clock.Wait(0.1);
            worker.HasOrder.ShouldBeFalse("the device is full");
            foreach (var order in taken)
                await worker.Completed(order);
            orders.AddRange(taken);
        }

        orders.Select(order => order.JobId).ShouldBe(jobs, ignoreOrder: true, "each once");
        var placedAt = new List<Instant>();
        foreach (var job in jobs)
            placedAt.Add((await tenant.Job(job, JobStatus.Completed)).Attempts.ShouldHaveSingleItem().PlacedAt);
        placedAt.ShouldBeInOrder();     // oldest first

        // One of the two ends; whichever it was, the other places jobs and fires the clockwork.
        await second.DisposeAsync();
        var next = await tenant.Submit(worker);
        (await worker.TakeOrder()).JobId.ShouldBe(next.JobId);

        await Clock.Wait(2);
        var closed = world.Bus.PeriodsClosed.Select(message => message.AsOf).ToList();
        closed.Count.ShouldBeGreaterThan(3);
        closed.ShouldBeUnique();
        closed.ShouldAllBe(asOf => asOf.ToUnixTimeTicks() % NodaConstants.TicksPerSecond == 0);
    }

    [Fact]
    public async Task A_restarted_process_goes_on_with_what_it_finds()
    {
        await using var old = new SchedulerWorld();
        await old.InitializeAsync();
        await using var worker = await ScriptedWorker.Start(old);
        var tenant = await old.Tenant();
        var running = await tenant.Submit(worker, gpuMilli: 600);
        var waiting = await tenant.Submit(worker, gpuMilli: 600);
        var order = await worker.TakeOrder();
        await worker.Started(order);
        await tenant.Job(running.JobId, JobStatus.Running);

        // While nobody schedules, the worker finishes; its report waits in the broker.
        await old.Scheduler.DisposeAsync();
        await worker.Completed(order);
        await Clock.Wait(3.5);      // longer than the lease: nobody listened, so nobody is lost
        var restarted = await old.StartInstance();

        (await worker.TakeOrder()).JobId.ShouldBe(waiting.JobId);
        (await restarted.History(tenant.TenantId, running.JobId)).Select(e => e.GetType().Name)
            .ShouldBe(["Submitted", "Placed", "Started", "Completed"]);
    }
}
