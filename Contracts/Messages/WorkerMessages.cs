using NodaTime;

namespace Platform.Contracts.Messages;

/// <summary>A device that a worker offers.</summary>
/// <param name="Flavor">The device's model as schedulers and price lists name it: <c>cpu</c>, <c>nvidia-h200</c>.</param>
/// <param name="MemoryBytes">Memory that jobs can use.</param>
public sealed record Device(int Index, string Flavor, long MemoryBytes);

/// <summary>
/// Published by a worker when its process starts. The Scheduler places jobs on it from now on; attempts of the worker's
/// earlier sessions are over. Billing keeps the public key to verify usage.
/// </summary>
/// <param name="Pool">on-demand, reserved or spot.</param>
/// <param name="PublicKey">ECDSA P-256 subject public key info, base64. The key survives restarts of the worker.</param>
public sealed record WorkerRegistered(
    WorkerId WorkerId, WorkerSessionId SessionId, string Name, string Pool, IReadOnlyList<Device> Devices,
    string PublicKey, Instant At);

/// <summary>Sent every few seconds. A worker that cannot send one for its lease stops its attempts by itself.</summary>
/// <param name="Running">The attempts that run now.</param>
public sealed record WorkerHeartbeat(
    WorkerId WorkerId, WorkerSessionId SessionId, IReadOnlyList<AttemptId> Running, Instant At);

/// <summary>The worker shuts down and takes no more work; its attempts were handed back before.</summary>
public sealed record WorkerDrained(WorkerId WorkerId, WorkerSessionId SessionId, Instant At);
