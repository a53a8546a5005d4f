using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Scheduler.Fleet;

// The names on the wire are chosen here, once, and never change; the C# names may.
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Registered), "worker.registered.v1")]
[JsonDerivedType(typeof(Lost), "worker.lost.v1")]
[JsonDerivedType(typeof(Returned), "worker.returned.v1")]
[JsonDerivedType(typeof(Drained), "worker.drained.v1")]
public abstract record WorkerEvent
{
    /// <summary>A new session of the worker began; its earlier sessions are over.</summary>
    public sealed record Registered(
        WorkerId WorkerId, WorkerSessionId SessionId, string Name, string Pool, IReadOnlyList<Device> Devices, string PublicKey,
        Instant At) : WorkerEvent;

    /// <param name="LastHeardAt">The last heartbeat before the lease ran out.</param>
    public sealed record Lost(WorkerSessionId SessionId, Instant LastHeardAt, Instant At) : WorkerEvent;

    /// <summary>The same session is heard again: the network was away, the worker was not.</summary>
    public sealed record Returned(WorkerSessionId SessionId, Instant At) : WorkerEvent;

    public sealed record Drained(WorkerSessionId SessionId, Instant At) : WorkerEvent;
}

public enum WorkerStatus
{
    Missing,

    /// <summary>Takes work.</summary>
    Active,

    /// <summary>Its lease ran out; it takes no work until it is heard again.</summary>
    Lost,

    /// <summary>It shut down in good order; a new session makes it active again.</summary>
    Drained,
}

/// <summary>A worker machine. The fleet belongs to the operator, so its streams are the operator tenant's.</summary>
/// <param name="Sessions">All sessions so far. A clock could be set back, so times do not tell an earlier one.</param>
public sealed record Worker(WorkerStatus Status, WorkerSessionId SessionId, ImmutableHashSet<WorkerSessionId> Sessions)
    : IEvolve<Worker, WorkerEvent>
{
    /// <summary>Names the streams; permanent.</summary>
    public const string StreamType = "worker";

    public static Worker Initial => new(WorkerStatus.Missing, SessionId: default, Sessions: []);

    public static StreamId Stream(WorkerId worker) => new(TenantId.Operator.Value, StreamType, worker.Value);

    public static Worker Evolve(Worker worker, WorkerEvent @event) => @event switch
    {
        WorkerEvent.Registered registered =>
            new(WorkerStatus.Active, registered.SessionId, worker.Sessions.Add(registered.SessionId)),
        WorkerEvent.Lost => worker with { Status = WorkerStatus.Lost },
        WorkerEvent.Returned => worker with { Status = WorkerStatus.Active },
        WorkerEvent.Drained => worker with { Status = WorkerStatus.Drained },
        _ => throw new UnreachableException($"Worker does not know {@event.GetType().Name}."),
    };
}

public static class Pools
{
    /// <summary>Every pool there is, whether or not it has workers.</summary>
    public static readonly IReadOnlyList<string> Known = ["on-demand", "reserved", "spot"];
}

/// <summary>Settings under <c>Fleet</c>.</summary>
public sealed class FleetOptions
{
    /// <summary>
    /// How long a worker may be silent. Longer than the time after which a worker that cannot reach the broker stops its
    /// attempts by itself (8 s), so that an attempt is never replaced while it runs.
    /// </summary>
    public TimeSpan LeaseTimeout { get; set; } = TimeSpan.FromSeconds(12);

    /// <summary>
    /// How long heartbeats must not list an attempt before it counts as gone. Reports and heartbeats travel in different
    /// queues, so an attempt that just completed is missing from a heartbeat before its report arrives.
    /// </summary>
    public TimeSpan MissingTimeout { get; set; } = TimeSpan.FromSeconds(10);
}
