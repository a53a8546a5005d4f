using System.Diagnostics.Metrics;
using NodaTime;

namespace Platform.Scheduler.Dispatch;

/// <summary>How placement does, for whoever watches the platform.</summary>
public static class PlacementMetrics
{
    private static readonly Meter Meter = new("Platform.Scheduler");

    private static readonly Counter<long> Placements =
        Meter.CreateCounter<long>("platform.scheduler.placements", unit: "{attempt}", description: "Attempts placed.");

    private static readonly Histogram<double> Waits =
        Meter.CreateHistogram<double>("platform.scheduler.wait", unit: "s", description: "From submission to a job's first placement.");

    private static readonly Counter<long> Losses =
        Meter.CreateCounter<long>("platform.scheduler.attempts_lost", unit: "{attempt}", description: "Attempts lost with their worker.");

    private static readonly Gauge<int> Waiting = Meter.CreateGauge<int>(
        "platform.scheduler.queue_heads", unit: "{job}", description: "Jobs that wait, up to the number that one cycle looks at.");

    public static void Placed(string pool, int attemptNumber, Duration waited)
    {
        Placements.Add(1, new KeyValuePair<string, object?>("pool", pool));
        if (attemptNumber == 1)
            Waits.Record(waited.TotalSeconds, new KeyValuePair<string, object?>("pool", pool));
    }

    public static void Lost() => Losses.Add(1);

    public static void QueueHeads(int count) => Waiting.Record(count);
}
