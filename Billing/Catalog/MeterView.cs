using System.Diagnostics;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>
/// A meter with all its versions, oldest first, as everybody reads it: the catalog is the operator's and open to all tenants. What
/// stands beside the versions is the newest one's.
/// </summary>
public sealed record MeterView(
    MeterId MeterId, string Key, string DisplayName, string EventType, Aggregation Aggregation, string? ValueProperty,
    string Unit, Instant DefinedAt, int LatestVersion, IReadOnlyList<MeterView.MeterVersion> Versions)
{
    public const string Table = "meters";

    public sealed record MeterVersion(int Version, MeterDefinition Definition, Instant PublishedAt);

    [JsonIgnore]
    public MeterDefinition Latest => Versions[^1].Definition;

    /// <summary>Null where the meter has no such version.</summary>
    public MeterDefinition? DefinitionOf(int version) => Versions.FirstOrDefault(it => it.Version == version)?.Definition;

    public static void Map(RouteGroupBuilder meters)
    {
        meters.MapGet("/", List).WithName("ListMeters");
        meters.MapGet("/{id}", Get).WithName("GetMeter");
    }

    /// <summary>The meters that read events of these types.</summary>
    public static Task<IReadOnlyList<MeterView>> OfEventTypes(
        Documents documents, IEnumerable<string> eventTypes, CancellationToken cancellation) =>
        Where(documents, "data ->> 'event_type' = any($1)", eventTypes, cancellation);

    public static Task<IReadOnlyList<MeterView>> OfKeys(
        Documents documents, IEnumerable<string> keys, CancellationToken cancellation) =>
        Where(documents, "data ->> 'key' = any($1)", keys, cancellation);

    private static async Task<IReadOnlyList<MeterView>> Where(
        Documents documents, string condition, IEnumerable<string> values, CancellationToken cancellation)
    {
        var rows = await documents.List(
            TenantId.Operator.Value, Table, Stored.Json<MeterView>(), limit: 10_000, after: null, newestFirst: false,
            cancellation, condition, Sql.P([.. values.Distinct()]));
        return [.. rows.Select(row => row.View)];
    }

    private static Task<Ok<Page<MeterView>>> List(
        [AsParameters] PageQuery page, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<MeterView>(TenantId.Operator, Table, page, newestFirst: false, cancellation);

    private static async Task<Results<Ok<MeterView>, ProblemHttpResult>> Get(
        MeterId id, Documents documents, CancellationToken cancellation) =>
        await documents.Find(TenantId.Operator.Value, Table, id.Value, Stored.Json<MeterView>(), cancellation) is { } meter
            ? TypedResults.Ok(meter)
            : Problems.NotFound("meter");
}

public sealed class MeterProjection : DocumentProjection<MeterView, MeterEvent>
{
    public override string Name => "meters";

    protected override string Table => MeterView.Table;

    protected override JsonTypeInfo<MeterView> Json => Stored.Json<MeterView>();

    protected override MeterView? Fold(MeterView? view, MeterEvent @event, RecordedEvent recorded) => @event switch
    {
        MeterDefined it => new(
            it.MeterId, it.Key, it.DisplayName, it.EventType, it.Aggregation, it.ValueProperty, it.Unit, it.At, LatestVersion: 1,
            [new(Version: 1, it.Definition, it.At)]),
        MeterVersionPublished { Definition: var latest } it => view! with
        {
            DisplayName = latest.DisplayName,
            Aggregation = latest.Aggregation,
            ValueProperty = latest.ValueProperty,
            Unit = latest.Unit,
            LatestVersion = it.Version,
            Versions = [.. view.Versions, new(it.Version, latest, it.At)],
        },
        _ => throw new UnreachableException($"MeterView does not know {@event.GetType().Name}."),
    };
}
