using System.Collections.Concurrent;
using NodaTime;
using Npgsql;

namespace Platform.EventStore;

/// <summary>The projections that are kept in the transaction of the append.</summary>
internal sealed class InlineProjections(IEnumerable<Projection> projections, Database database)
{
    private readonly Projection[] inline =
        [.. projections.Where(projection => projection.Lifecycle == ProjectionLifecycle.Inline)];
    private readonly ConcurrentDictionary<Type, bool> folded = [];

    public bool Folds(PreparedWrite write)
    {
        if (inline.Length == 0)
            return false;
        foreach (var append in write.Appends)
        {
            foreach (var @event in append.Events)
            {
                if (folded.GetOrAdd(@event.Data.GetType(), type => inline.Any(projection => projection.Folds(type))))
                    return true;
            }
        }

        return false;
    }

    /// <param name="positions">Where each write's last event stands; null for a write that failed.</param>
    public async Task Apply(
        IReadOnlyList<PreparedWrite> writes, LanePosition?[] positions, AppendAnswer answer, NpgsqlConnection connection,
        CancellationToken cancellation)
    {
        var tables = new ProjectionTables(connection, table => $"{database.Schema}.\"{table}\"");
        var events = new List<RecordedEvent>();
        for (var i = 0; i < writes.Count; i++)
        {
            if (positions[i] is { } last)
                Record(writes[i], last, answer.TimeOf(last.Lane), events);
        }
        foreach (var projection in inline)
        {
            var page = events.FindAll(recorded => projection.Folds(recorded.Data.GetType()));
            if (page.Count > 0)
                await projection.Apply(page, tables, cancellation);
        }

        await tables.Send(cancellation);
    }

    private static void Record(PreparedWrite write, LanePosition last, Instant recordedAt, List<RecordedEvent> events)
    {
        var metadata = new EventMetadata(recordedAt, write.Cause.CorrelationId, write.Cause.CausationId, write.Cause.Actor);
        var number = last.Number - write.Appends.Sum(append => append.Events.Length);
        foreach (var append in write.Appends)
        {
            for (var at = 0; at < append.Events.Length; at++)
            {
                var @event = append.Events[at];
                events.Add(new(
                    append.Stream, append.ExpectedVersion + at + 1, new(last.Lane, ++number), @event.TypeName, @event.Data, metadata));
            }
        }
    }
}
