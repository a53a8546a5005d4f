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
    public static Decision<WorkerEvent> Decide(WorkerRegistered message, Worker worker) => worker switch
    {
        { Status: not WorkerStatus.Missing } when worker.SessionId == message.SessionId => [],
        // A late copy of an earlier session's registration must not bring that session back.
        { Status: not WorkerStatus.Missing } when message.At < worker.RegisteredAt => [],
        _ =>
        [
            new WorkerEvent.Registered(
                message.WorkerId, message.SessionId, message.Name, message.Pool, message.Devices, message.PublicKey, message.At),
        ],
    };
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
