using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Contracts;
using Platform.Scheduler.Placement;

namespace Platform.Scheduler.Tests.Placement;

/// <summary>What holds of every plan. A failure prints the seed that repeats it.</summary>
public class CycleProperties
{
    private static readonly string[] PoolNames = ["on-demand", "spot"];
    private static readonly string[] Flavors = ["cpu", "h200"];

    public sealed record World(FleetSnapshot Fleet, IReadOnlyList<WaitingJob> Queue);

    private static readonly Gen<FleetDevice> Devices =
        from worker in Gen.Choose(1, 6)
        from index in Gen.Choose(0, 3)
        from pool in Gen.Elements(PoolNames)
        from flavor in Gen.Elements(Flavors)
        from free in Gen.Choose(0, 1000)
        select new FleetDevice(WorkerId.From(IdOf(worker)), WorkerSessionId.From(IdOf(worker)), pool, index, flavor, free);

    private static readonly Gen<WaitingJob> Jobs =
        from id in Gen.Choose(1, 40)
        from pool in Gen.Elements(PoolNames)
        from flavor in Gen.Elements(Flavors.Append(null!).ToArray())
        from milli in Gen.Choose(1, 1000)
        from at in Gen.Choose(0, 5)
        select new WaitingJob(TenantId.From(IdOf(1)), JobId.From(IdOf(id)), pool, flavor, milli, Instant.FromUnixTimeSeconds(at));

    private static readonly Arbitrary<World> Worlds = Arb.From(
        from devices in Gen.ListOf(Devices)
        from jobs in Gen.ListOf(Jobs)
        select new World(
            new([.. devices.DistinctBy(device => (device.WorkerId, device.DeviceIndex))]), [.. jobs]));

    [Fact]
    public void No_plan_gives_out_more_than_a_device_has() => Prop.ForAll(Worlds, world =>
        Cycle.Plan(world.Fleet, world.Queue)
            .GroupBy(assignment => assignment.Device)
            .All(device => device.Sum(assignment => assignment.Job.GpuMilli) <= device.Key.FreeMilli))
        .QuickCheckThrowOnFailure();

    [Fact]
    public void No_job_is_placed_twice_or_on_a_device_that_does_not_suit_it() => Prop.ForAll(Worlds, world =>
    {
        var plan = Cycle.Plan(world.Fleet, world.Queue);
        return plan.DistinctBy(assignment => assignment.Job.JobId).Count() == plan.Count
            && plan.All(assignment => Cycle.Suits(assignment.Job, assignment.Device));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_oldest_job_that_fits_anywhere_is_placed_unless_an_older_one_waits_for_that_room() => Prop.ForAll(Worlds, world =>
    {
        var plan = Cycle.Plan(world.Fleet, world.Queue);
        var placed = plan.Select(assignment => assignment.Job.JobId).ToHashSet();
        var waiting = new List<WaitingJob>();
        foreach (var job in Ordered(world.Queue))
        {
            if (placed.Contains(job.JobId))
                continue;

            // Room that is left once everything older has its place.
            var older = plan.Where(assignment => Before(assignment.Job, job)).ToList();
            var roomy = world.Fleet.Devices
                .Where(device => Cycle.Suits(job, device)
                    && device.FreeMilli - older.Where(a => a.Device == device).Sum(a => a.Job.GpuMilli) >= job.GpuMilli)
                .ToList();
            // Each older waiting job closes at most one device.
            if (roomy.Count > waiting.Count(other => roomy.Any(device => Cycle.Suits(other, device))))
                return false;
            waiting.Add(job);
        }

        return true;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_order_of_rows_does_not_change_the_plan() => Prop.ForAll(Worlds, world =>
    {
        var unique = world.Queue.DistinctBy(job => job.JobId).ToList();
        return Cycle.Plan(world.Fleet, unique).SequenceEqual(
            Cycle.Plan(new([.. world.Fleet.Devices.Reverse()]), unique.AsEnumerable().Reverse()));
    }).QuickCheckThrowOnFailure();

    /// <summary>A stream of small young jobs keeps every device busy; the big old one must get its turn all the same.</summary>
    [Fact]
    public void Nobody_starves() => Prop.ForAll(
        Arb.From(Gen.Choose(0, int.MaxValue)),
        seed =>
        {
            var random = new Random(seed);
            var running = new List<(int Device, int Milli, int EndsAt)>();
            var big = new WaitingJob(
                TenantId.From(IdOf(1)), JobId.From(IdOf(9999)), "on-demand", null, 1000, Instant.FromUnixTimeSeconds(0));
            for (var d = 0; d < 3; d++)
                running.Add((d, 100 + random.Next(400), random.Next(1, 20)));

            for (var now = 1; now < 60; now++)
            {
                running.RemoveAll(attempt => attempt.EndsAt <= now);
                var fleet = new FleetSnapshot(
                [
                    .. Enumerable.Range(0, 3).Select(d => new FleetDevice(
                        WorkerId.From(IdOf(d + 1)), WorkerSessionId.From(IdOf(d + 1)), "on-demand", 0, "cpu",
                        1000 - running.Where(attempt => attempt.Device == d).Sum(attempt => attempt.Milli))),
                ]);
                var young = Enumerable.Range(0, 12).Select(i => new WaitingJob(
                    TenantId.From(IdOf(1)), JobId.From(IdOf(i + 1)), "on-demand", null, 50 + random.Next(400),
                    Instant.FromUnixTimeSeconds(now)));

                foreach (var (job, device) in Cycle.Plan(fleet, [big, .. young]))
                {
                    if (job == big)
                        return true;
                    running.Add((device.WorkerId.Value.ToByteArray()[0] - 1, job.GpuMilli, now + random.Next(1, 20)));
                }
            }

            return false;
        }).QuickCheckThrowOnFailure();

    private static IEnumerable<WaitingJob> Ordered(IEnumerable<WaitingJob> queue) =>
        queue.DistinctBy(job => job.JobId).OrderBy(job => job.SubmittedAt).ThenBy(job => job.JobId.Value);

    private static bool Before(WaitingJob left, WaitingJob right) =>
        (left.SubmittedAt, left.JobId.Value).CompareTo((right.SubmittedAt, right.JobId.Value)) < 0;

    private static Guid IdOf(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
}
