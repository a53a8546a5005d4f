using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// One JSON document per key, folded from the events of one stream or of several. Table shape, made by
/// <c>{schema}.create_document_table('name')</c> in a migration:
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

    public sealed override async Task Apply(
        IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        var table = tables.Qualify(Table);
        var documents = new Dictionary<(Guid Tenant, Guid Id), Document>();
        var known = new List<(Guid Tenant, Guid Id)>();
        foreach (var recorded in page)
        {
            var key = (recorded.Stream.TenantId, KeyOf(recorded));
            // A stream that begins here has no document yet.
            if (documents.TryAdd(key, default) && !(recorded.Version == 1 && key.Item2 == recorded.Stream.Id))
                known.Add(key);
        }

        if (known.Count > 0)
            await Load(documents, known, table, tables.Connection, cancellation);
        foreach (var recorded in page)
        {
            ref var document = ref CollectionsMarshal.GetValueRefOrNullRef(documents, (recorded.Stream.TenantId, KeyOf(recorded)));
            document.View = Fold(document.View, (TEvent)recorded.Data, recorded);
            document.Version = recorded.Position.Number;
        }

        Save(documents, table, tables);
    }

    /// <summary>The document as these events, all of them and in order, make it.</summary>
    internal TView? FoldOne(Guid id, IEnumerable<RecordedEvent> events)
    {
        TView? view = null;
        foreach (var recorded in events)
        {
            if (Folds(recorded.Data.GetType()) && KeyOf(recorded) == id)
                view = Fold(view, (TEvent)recorded.Data, recorded);
        }

        return view;
    }

    private async Task Load(
        Dictionary<(Guid Tenant, Guid Id), Document> documents, IReadOnlyList<(Guid Tenant, Guid Id)> keys, string table,
        NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"""
            select d.tenant_id, d.id, d.data from unnest($1, $2) as k (tenant_id, id)
            join {table} d on d.tenant_id = k.tenant_id and d.id = k.id
            """,
            connection)
        {
            Parameters =
            {
                Value(keys.Select(key => key.Tenant).ToArray()),
                Value(keys.Select(key => key.Id).ToArray()),
            },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            documents[(reader.GetGuid(0), reader.GetGuid(1))] = new()
            {
                View = JsonSerializer.Deserialize(reader.GetFieldValue<byte[]>(2), Json),
                Stored = true,
            };
        }
    }

    private void Save(Dictionary<(Guid Tenant, Guid Id), Document> documents, string table, ProjectionTables tables)
    {
        // In the order of the key: neighbouring rows share pages.
        var kept = documents.Where(document => document.Value.View is not null).OrderBy(document => document.Key).ToList();
        var deleted = documents.Where(document => document.Value is { View: null, Stored: true }).Select(document => document.Key).ToList();
        if (kept.Count > 0)
        {
            tables.Write(
                $"""
                insert into {table} (tenant_id, id, version, data) select * from unnest($1, $2, $3, $4)
                on conflict (tenant_id, id) do update set version = excluded.version, data = excluded.data
                """,
                Value(kept.Select(document => document.Key.Tenant).ToArray()),
                Value(kept.Select(document => document.Key.Id).ToArray()),
                Value(kept.Select(document => document.Value.Version).ToArray()),
                Jsons([.. kept.Select(document => JsonSerializer.SerializeToUtf8Bytes(document.Value.View!, Json))]));
        }

        if (deleted.Count > 0)
        {
            tables.Write(
                $"delete from {table} d using unnest($1, $2) as k (tenant_id, id) where d.tenant_id = k.tenant_id and d.id = k.id",
                Value(deleted.Select(key => key.Tenant).ToArray()), Value(deleted.Select(key => key.Id).ToArray()));
        }
    }

    private struct Document
    {
        public TView? View;
        public long Version;
        public bool Stored;
    }
}
