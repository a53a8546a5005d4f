using Npgsql;

namespace Platform.EventStore;

/// <summary>Where a projection is kept up to date.</summary>
public enum ProjectionLifecycle
{
    /// <summary>In the transaction that appends: a reader sees its own write.</summary>
    Inline,

    /// <summary>By a background reader, with its checkpoint in the transaction of its changes.</summary>
    Async,
}

/// <summary>
/// A view folded from events alone, so that a rebuild gives what the first time gave. It never asks a clock, another view
/// or the network.
/// </summary>
public abstract class Projection
{
    /// <summary>Permanent: names the checkpoint.</summary>
    public abstract string Name { get; }

    public virtual ProjectionLifecycle Lifecycle => ProjectionLifecycle.Inline;

    /// <summary>The tables it owns, without schema. Created by migrations; a rebuild fills copies of them and swaps.</summary>
    public abstract IReadOnlyList<string> Tables { get; }

    /// <summary>True for the event types it folds, by CLR type.</summary>
    public abstract bool Folds(Type eventType);

    /// <summary>
    /// Folds one page, in order per stream, inside the caller's transaction. A page holds only events that
    /// <see cref="Folds"/> accepts and may span streams and, for an async projection or a rebuild, tenants. What it writes by
    /// <see cref="ProjectionTables.Write"/> is sent after it, so it reads nothing there that it has just written.
    /// </summary>
    public abstract Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation);
}

/// <summary>The projection's tables in this run: the live ones, or the copies of a rebuild.</summary>
public sealed class ProjectionTables
{
    private readonly RoundTrip writes;

    internal ProjectionTables(NpgsqlConnection connection, Func<string, string> qualify)
    {
        Connection = connection;
        Qualify = qualify;
        writes = new(connection);
    }

    public NpgsqlConnection Connection { get; }

    /// <summary>The quoted, schema-qualified name to write into SQL.</summary>
    public Func<string, string> Qualify { get; }

    /// <summary>Adds a statement without an answer to those of this page: the projections' statements are one round trip, in order.</summary>
    public void Write(string sql, params ReadOnlySpan<NpgsqlParameter> parameters) => writes.Write(sql, parameters);

    /// <inheritdoc cref="Write(string, ReadOnlySpan{NpgsqlParameter})"/>
    public void Write(NpgsqlBatchCommand statement) => writes.Write(statement);

    internal Task Send(CancellationToken cancellation) => writes.Send(cancellation);
}
