using NodaTime;
using Platform.Contracts;
using Platform.Scheduler.Placement;

namespace Platform.Scheduler.Tests.Placement;

public class CycleSpecs
{
    /// <summary>
    /// One line per idea. Devices: name:pool/flavor=free. Queue, oldest first: name:pool/flavor=milli, * for any flavor. Plan:
    /// job>device.
    /// </summary>
    [Theory]
    [InlineData("a:on-demand/cpu=1000", "1:on-demand/*=1000", "1>a")]
    [InlineData("a:on-demand/cpu=1000", "1:on-demand/*=600 2:on-demand/*=400", "1>a 2>a")]
    [InlineData("a:on-demand/cpu=1000", "1:on-demand/*=600 2:on-demand/*=500", "1>a")]
    [InlineData("a:on-demand/cpu=1000", "", "")]
    [InlineData("", "1:on-demand/*=1", "")]
    // best fit: the fuller device, so that whole ones stay whole
    [InlineData("a:on-demand/cpu=1000 b:on-demand/cpu=500", "1:on-demand/*=500 2:on-demand/*=1000", "1>b 2>a")]
    // pool and flavor must be right
    [InlineData("a:spot/cpu=1000", "1:on-demand/*=1", "")]
    [InlineData("a:on-demand/cpu=1000", "1:on-demand/h200=1", "")]
    [InlineData("a:on-demand/cpu=1000 b:on-demand/h200=1000", "1:on-demand/h200=1", "1>b")]
    // a job that fits nowhere keeps the roomiest device for itself: younger ones may not take what it waits for
    [InlineData("a:on-demand/cpu=900", "1:on-demand/*=1000 2:on-demand/*=100", "")]
    [InlineData("a:on-demand/cpu=900 b:on-demand/cpu=300", "1:on-demand/*=1000 2:on-demand/*=200", "2>b")]
    // ... and blocks nobody who suits other devices
    [InlineData("a:on-demand/h200=0 b:on-demand/cpu=1000", "1:on-demand/h200=500 2:on-demand/cpu=500", "2>b")]
    [InlineData("a:on-demand/cpu=0 b:spot/cpu=1000", "1:on-demand/*=500 2:spot/*=500", "2>b")]
    // a shape that no device has waits for the fleet and closes nothing
    [InlineData("a:on-demand/cpu=1000", "1:on-demand/h200=500 2:on-demand/*=1000", "2>a")]
    public void A_plan_follows_the_rule(string devices, string queue, string plan)
    {
        var fleet = new FleetSnapshot([.. Split(devices).Select(Device)]);
        var jobs = Split(queue).Select(Job).ToArray();

        var assignments = Cycle.Plan(fleet, jobs.Reverse());    // the order of rows must not matter

        assignments.Select(a => $"{Name(a.Job.JobId.Value)}>{Name(a.Device.WorkerId.Value)}").Order()
            .ShouldBe(Split(plan).Order());
    }

    private static string[] Split(string text) => text.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static FleetDevice Device(string text)
    {
        var (name, pool, flavor, milli) = Parse(text);
        return new(WorkerId.From(IdOf(name)), WorkerSessionId.From(IdOf(name)), pool, DeviceIndex: 0, flavor, milli);
    }

    private static WaitingJob Job(string text)
    {
        var (name, pool, flavor, milli) = Parse(text);
        return new(
            TenantId.From(IdOf("t")), JobId.From(IdOf(name)), pool, flavor == "*" ? null : flavor, milli,
            Instant.FromUnixTimeSeconds(int.Parse(name, System.Globalization.CultureInfo.InvariantCulture)));
    }

    private static (string Name, string Pool, string Flavor, int Milli) Parse(string text) =>
        text.Split(':', '/', '=') is [var name, var pool, var flavor, var milli]
        ? (name, pool, flavor, int.Parse(milli, System.Globalization.CultureInfo.InvariantCulture))
        : throw new FormatException(text);

    private static Guid IdOf(string name) => new(name[0], 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

    private static string Name(Guid id) => ((char)id.ToByteArray()[0]).ToString();
}
