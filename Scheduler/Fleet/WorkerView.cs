using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Scheduler.Dispatch;
using Platform.Scheduler.Placement;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Fleet;

/// <summary>A worker as its events tell it.</summary>
/// <param name="ChangedAt">When the status last changed.</param>
public sealed record WorkerView(
    WorkerId WorkerId, WorkerSessionId SessionId, string Name, string Pool, IReadOnlyList<Device> Devices, string PublicKey,
    WorkerStatus Status, Instant RegisteredAt, Instant ChangedAt)
{
    public static WorkerView Project(WorkerView? view, WorkerEvent @event) => (view, @event) switch
    {
        (_, WorkerEvent.Registered registered) => new(
            registered.WorkerId, registered.SessionId, registered.Name, registered.Pool, registered.Devices,
            registered.PublicKey, WorkerStatus.Active, registered.At, registered.At),
        ({ } worker, WorkerEvent.Lost lost) => worker with { Status = WorkerStatus.Lost, ChangedAt = lost.At },
        ({ } worker, WorkerEvent.Returned returned) => worker with { Status = WorkerStatus.Active, ChangedAt = returned.At },
        ({ } worker, WorkerEvent.Drained drained) => worker with { Status = WorkerStatus.Drained, ChangedAt = drained.At },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view?.Status}."),
    };

    /// <summary>Flavors that the pool's workers have or had; a lost worker may come back.</summary>
    internal static async Task<IReadOnlyCollection<string>> FlavorsIn(
        string pool, Documents documents, CancellationToken cancellation)
    {
        var workers = await documents.List(
            TenantId.Operator.Value, WorkerViews.TableName, SchedulerJson.Stored<WorkerView>(), limit: 10_000, after: null,
            newestFirst: false, cancellation, "data->>'pool' = @pool", new Npgsql.NpgsqlParameter("pool", pool));
        return [.. workers.SelectMany(worker => worker.View.Devices).Select(device => device.Flavor).Distinct()];
    }
}

public sealed class WorkerViews : DocumentProjection<WorkerView, WorkerEvent>
{
    public const string TableName = "worker_views";

    public override string Name => "worker_views";

    protected override string Table => TableName;

    protected override JsonTypeInfo<WorkerView> Json => SchedulerJson.Stored<WorkerView>();

    protected override WorkerView? Fold(WorkerView? view, WorkerEvent @event, RecordedEvent recorded) =>
        WorkerView.Project(view, @event);
}

/// <summary>The fleet as operators read it.</summary>
public static class ListWorkers
{
    /// <param name="LastHeardAt">The last heartbeat of the current session.</param>
    public sealed record FleetWorker(
        WorkerId WorkerId, WorkerSessionId SessionId, string Name, string Pool, WorkerStatus Status, Instant RegisteredAt,
        Instant? LastHeardAt, IReadOnlyList<FleetDeviceRoom> Devices);

    /// <param name="FreeMilli">Thousandths that no attempt holds.</param>
    public sealed record FleetDeviceRoom(int Index, string Flavor, long MemoryBytes, int FreeMilli);

    public static void Map(IEndpointRouteBuilder app) =>
        app.MapGet("/v1/workers", Handle).ForOperators().WithTags("Fleet").WithName(nameof(ListWorkers));

    private static async Task<Ok<Page<FleetWorker>>> Handle(
        [AsParameters] PageQuery page, Documents documents, FleetTables tables, OpenAttempts attempts,
        CancellationToken cancellation)
    {
        var workers = await documents.List(
            TenantId.Operator.Value, WorkerViews.TableName, SchedulerJson.Stored<WorkerView>(), page.Size + 1, page.After,
            newestFirst: false, cancellation);
        var open = await attempts.All(cancellation);
        var heartbeats = await tables.Heartbeats(cancellation);

        return TypedResults.Ok(page.Of(
            [.. workers.Select(row => Describe(row.View, open, heartbeats))], worker => worker.WorkerId.Value));
    }

    private static FleetWorker Describe(
        WorkerView worker, IReadOnlyList<OpenAttempt> open,
        IReadOnlyDictionary<(WorkerId, WorkerSessionId), Instant> heartbeats) => new(
        worker.WorkerId, worker.SessionId, worker.Name, worker.Pool, worker.Status, worker.RegisteredAt,
        heartbeats.TryGetValue((worker.WorkerId, worker.SessionId), out var heard) ? heard : null,
        [
            .. worker.Devices.Select(device => new FleetDeviceRoom(
                device.Index, device.Flavor, device.MemoryBytes, OpenAttempt.FreeMilli(worker, device.Index, open))),
        ]);
}
