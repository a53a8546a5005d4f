using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using NodaTime;
using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>Reads what a <see cref="DocumentProjection{TView,TEvent}"/> wrote, under the tenant's row-level security.</summary>
public sealed class Documents
{
    private readonly Database database;
    private readonly EventRows rows;
    private readonly EventTypes events;
    private readonly TimeProvider time;

    internal Documents(Database database, EventTypes events, TimeProvider time)
    {
        (this.database, this.events, this.time) = (database, events, time);
        rows = new(database, events);
    }

    public Task<TView?> Find<TView>(
        Guid tenantId, string table, Guid id, JsonTypeInfo<TView> json, CancellationToken cancellation) where TView : class
    {
        RequireIdentifier(table);
        return database.Retry(time, cancellation, async () =>
        {
            await using var batch = database.TenantRead(
                tenantId, $"select data from {database.Schema}.\"{table}\" where tenant_id = $1 and id = $2", Value(tenantId), Value(id));
            await using var reader = await batch.ExecuteReaderAsync(cancellation);
            await reader.NextResultAsync(cancellation);
            return await reader.ReadAsync(cancellation) ? View(reader, 0, json) : null;
        });
    }

    /// <summary>
    /// The document as it was known at an instant, folded anew from the events recorded until then. Costs a read of the
    /// tenant's events of the projection's types.
    /// </summary>
    public Task<TView?> FindAsOf<TView, TEvent>(
        DocumentProjection<TView, TEvent> projection, Guid tenantId, Guid id, Instant asOf, CancellationToken cancellation)
        where TView : class where TEvent : class =>
        database.Retry(time, cancellation, async () =>
        {
            await using var batch = database.SettledTenantRead(
                tenantId,
                $"""
                select {EventRows.Columns} from {database.Schema}.events
                where tenant_id = $1 and type = any($2) and recorded_at <= $3 order by number
                """,
                Value(tenantId), Value(events.NamesOf(projection.Folds)), Instant(asOf));
            await using var reader = await batch.ExecuteReaderAsync(cancellation);
            await reader.NextResultAsync(cancellation);
            return projection.FoldOne(id, await rows.All(reader, cancellation));
        });

    /// <summary>A page in the order of ids (version 7 ids: oldest first), or the reverse.</summary>
    /// <param name="after">The last id of the page before; null for the first page.</param>
    /// <param name="where">
    /// An SQL condition over <c>id</c> and <c>data</c> with the given parameters, named (<c>@state</c>) or by place
    /// (<c>$1</c>); constant text only.
    /// </param>
    public Task<IReadOnlyList<(Guid Id, TView View)>> List<TView>(
        Guid tenantId, string table, JsonTypeInfo<TView> json, int limit, Guid? after, bool newestFirst,
        CancellationToken cancellation, string? where = null, params NpgsqlParameter[] parameters) where TView : class
    {
        RequireIdentifier(table);
        return database.Retry(time, cancellation, async () =>
        {
            var query = new PageQuery(parameters);
            var sql = $"select id, data from {database.Schema}.\"{table}\" where tenant_id = {query.Add("tenant", tenantId)}"
                + query.Rest(where, after, newestFirst, limit);
            await using var batch = database.TenantRead(tenantId, sql, query.Parameters);
            await using var reader = await batch.ExecuteReaderAsync(cancellation);
            await reader.NextResultAsync(cancellation);
            List<(Guid, TView)> page = [];
            while (await reader.ReadAsync(cancellation))
                page.Add((reader.GetGuid(0), View(reader, 1, json)));
            return (IReadOnlyList<(Guid, TView)>)page;
        });
    }

    /// <summary>The same over all tenants, in the system role: for the operator's views and recurring work only.</summary>
    public Task<IReadOnlyList<(Guid TenantId, Guid Id, TView View)>> ListAllTenants<TView>(
        string table, JsonTypeInfo<TView> json, int limit, Guid? after, bool newestFirst,
        CancellationToken cancellation, string? where = null, params NpgsqlParameter[] parameters) where TView : class
    {
        RequireIdentifier(table);
        return database.Retry(time, cancellation, async () =>
        {
            var query = new PageQuery(parameters);
            await using var command = database.System.CreateCommand(
                $"select tenant_id, id, data from {database.Schema}.\"{table}\" where true"
                + query.Rest(where, after, newestFirst, limit));
            command.Parameters.AddRange(query.Parameters);
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            List<(Guid, Guid, TView)> page = [];
            while (await reader.ReadAsync(cancellation))
                page.Add((reader.GetGuid(0), reader.GetGuid(1), View(reader, 2, json)));
            return (IReadOnlyList<(Guid, Guid, TView)>)page;
        });
    }

    private static TView View<TView>(NpgsqlDataReader reader, int column, JsonTypeInfo<TView> json) where TView : class =>
        JsonSerializer.Deserialize(reader.GetFieldValue<byte[]>(column), json)!;

    /// <summary>The caller's parameters and ours in one style: Npgsql takes names or places, never both in one command.</summary>
    private sealed class PageQuery(NpgsqlParameter[] given)
    {
        // Copies, because a parameter belongs to one command and a retry makes another.
        private readonly List<NpgsqlParameter> all = [.. given.Select(parameter => parameter.Clone())];
        private readonly bool named = given.Any(parameter => !string.IsNullOrEmpty(parameter.ParameterName));

        public NpgsqlParameter[] Parameters => [.. all];

        public string Add<T>(string name, T value)
        {
            var parameter = Value(value);
            all.Add(parameter);
            if (!named)
                return $"${all.Count}";

            parameter.ParameterName = $"page_{name}";
            return $"@page_{name}";
        }

        public string Rest(string? where, Guid? after, bool newestFirst, int limit) =>
            (where is null ? "" : $" and ({where})")
            + (after is { } id ? $" and id {(newestFirst ? '<' : '>')} {Add("after", id)}" : "")
            + $" order by id {(newestFirst ? "desc" : "asc")} limit {Add("limit", limit)}";
    }
}
