using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Fleet;

/// <summary>
/// A worker's process started. The attempts of its earlier sessions are over from now on: <see cref="FleetWatch"/>, woken by
/// this event, ends them.
/// </summary>
public static class RegisterWorker
{
    /// <summary>A worker registers its session again when it finds the bus again; a late copy must not revive an earlier one.</summary>
    public static Decision<WorkerEvent> Decide(WorkerRegistered message, Worker worker) =>
        worker.Sessions.Contains(message.SessionId)
            ? []
            :
            [
                new WorkerEvent.Registered(
                    message.WorkerId, message.SessionId, message.Name, message.Pool, message.Devices, message.PublicKey,
                    message.At),
            ];
}

public sealed class WorkerRegisteredConsumer(EventStore.EventStore store, FleetTables tables, TimeProvider clock)
    : InboxConsumer<WorkerRegistered>(store)
{
    protected override TenantId TenantOf(WorkerRegistered message) => TenantId.Operator;

    protected override async Task Handle(WorkerRegistered message, EventTransaction transaction, CancellationToken cancellation)
    {
        // Registering is a sign of life; without it a worker would count as silent until its first heartbeat.
        await tables.Heard(message.WorkerId, message.SessionId, running: [], clock.GetCurrentInstant(), cancellation);
        await transaction.Decide<Worker, WorkerEvent>(
            Worker.Stream(message.WorkerId), worker => RegisterWorker.Decide(message, worker), cancellation);
    }
}
