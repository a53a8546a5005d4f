using System.Text.Json.Serialization.Metadata;
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
    /// <see cref="Folds"/> accepts and may span streams and, for an async projection or a rebuild, tenants.
    /// </summary>
    public abstract Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation);
}

/// <summary>The projection's tables in this run: the live ones, or the copies of a rebuild.</summary>
public sealed class ProjectionTables
{
    internal ProjectionTables(NpgsqlConnection connection, Func<string, string> qualify)
    {
        Connection = connection;
        Qualify = qualify;
    }

    public NpgsqlConnection Connection { get; }

    /// <summary>The quoted, schema-qualified name to write into SQL.</summary>
    public Func<string, string> Qualify { get; }
}

/// <summary>
/// One JSON document per key, folded from the events of one stream or of several. Table shape, made by
/// <c>create_document_table('name')</c> in a migration:
/// <c>(tenant_id uuid, id uuid, version bigint, data jsonb, primary key (tenant_id, id))</c>, with row-level security.
/// </summary>
/// <typeparam name="TView">The document.</typeparam>
/// <typeparam name="TEvent">The event family it folds.</typeparam>
public abstract class DocumentProjection<TView, TEvent> : Projection where TView : class where TEvent : class
{
    protected abstract string Table { get; }

    protected abstract JsonTypeInfo<TView> Json { get; }

    /// <summary>The document an event belongs to; by default the one of its stream.</summary>
    protected virtual Guid KeyOf(RecordedEvent recorded) => recorded.Stream.Id;

    /// <summary>Null in: no document yet. Null out: the document is deleted.</summary>
    protected abstract TView? Fold(TView? view, TEvent @event, RecordedEvent recorded);

    public sealed override IReadOnlyList<string> Tables => [Table];

    public override bool Folds(Type eventType) => typeof(TEvent).IsAssignableFrom(eventType);

    public sealed override Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation) =>
        throw new NotImplementedException();
}

/// <summary>Reads what a <see cref="DocumentProjection{TView,TEvent}"/> wrote, under the tenant's row-level security.</summary>
public sealed class Documents
{
    public Task<TView?> Find<TView>(
        Guid tenantId, string table, Guid id, JsonTypeInfo<TView> json, CancellationToken cancellation) where TView : class =>
        throw new NotImplementedException();

    /// <summary>A page in the order of ids (version 7 ids: oldest first), or the reverse.</summary>
    /// <param name="after">The last id of the page before; null for the first page.</param>
    /// <param name="where">An SQL condition over <c>id</c> and <c>data</c> with the given parameters; constant text only.</param>
    public Task<IReadOnlyList<(Guid Id, TView View)>> List<TView>(
        Guid tenantId, string table, JsonTypeInfo<TView> json, int limit, Guid? after, bool newestFirst,
        CancellationToken cancellation, string? where = null, params NpgsqlParameter[] parameters) where TView : class =>
        throw new NotImplementedException();

    /// <summary>The same over all tenants, in the system role: for the operator's views and recurring work only.</summary>
    public Task<IReadOnlyList<(Guid TenantId, Guid Id, TView View)>> ListAllTenants<TView>(
        string table, JsonTypeInfo<TView> json, int limit, Guid? after, bool newestFirst,
        CancellationToken cancellation, string? where = null, params NpgsqlParameter[] parameters) where TView : class =>
        throw new NotImplementedException();
}
