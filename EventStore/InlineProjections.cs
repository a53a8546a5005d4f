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

    /// <param name="head">The lane's number before the first event of these writes.</param>
    public async Task Apply(
        IEnumerable<PreparedWrite> appended, short lane, long head, Instant recordedAt, NpgsqlConnection connection,
        CancellationToken cancellation)
    {
        var tables = new ProjectionTables(connection, table => $"{database.Schema}.\"{table}\"");
        var events = Recorded(appended, lane, head, recordedAt);
        foreach (var projection in inline)
        {
            var page = events.FindAll(recorded => projection.Folds(recorded.Data.GetType()));
            if (page.Count > 0)
                await projection.Apply(page, tables, cancellation);
        }
    }

    private static List<RecordedEvent> Recorded(IEnumerable<PreparedWrite> appended, short lane, long head, Instant recordedAt) =>
    [
        .. from write in appended
           from append in write.Appends
           from @event in append.Events.Index()
           select new RecordedEvent(
               append.Stream, append.ExpectedVersion + @event.Index + 1, new(lane, checked(++head)), @event.Item.TypeName, @event.Item.Data,
               new(recordedAt, write.Cause.CorrelationId, write.Cause.CausationId, write.Cause.Actor)),
    ];
}
