using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Platform.EventStore;

/// <summary>What the event store tells OpenTelemetry, under the name <see cref="Name"/>.</summary>
public static class Telemetry
{
    public const string Name = "Platform.EventStore";

    internal static readonly ActivitySource Source = new(Name);
    private static readonly Meter Meter = new(Name);

    private static readonly Histogram<double> AppendDuration =
        Meter.CreateHistogram<double>("eventstore.append.duration", "s", "One commit of the group-commit writer.");
    private static readonly Histogram<long> AppendWrites =
        Meter.CreateHistogram<long>("eventstore.append.writes", "{write}", "Callers' writes in one commit.");
    private static readonly Counter<long> AppendEvents =
        Meter.CreateCounter<long>("eventstore.append.events", "{event}", "Events sent to a commit that succeeded, conflicts included.");
    private static readonly Histogram<double> OutboxLag =
        Meter.CreateHistogram<double>("eventstore.outbox.lag", "s", "From a message's recording to the broker's confirm.");
    private static readonly Counter<long> ReaderFailures =
        Meter.CreateCounter<long>("eventstore.reader.failures", "{failure}", "Pages of background readers that failed.");

    internal static void Appended(TimeSpan duration, PreparedWrite[] writes)
    {
        AppendDuration.Record(duration.TotalSeconds);
        AppendWrites.Record(writes.Length);
        if (AppendEvents.Enabled)
            AppendEvents.Add(writes.Sum(write => write.Appends.Sum(append => append.Events.Length)));
    }

    internal static void Relayed(TimeSpan lag) => OutboxLag.Record(lag.TotalSeconds);

    internal static void ReaderFailed(string reader) => ReaderFailures.Add(1, new KeyValuePair<string, object?>("reader", reader));
}
