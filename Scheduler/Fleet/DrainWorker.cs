using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Fleet;

/// <summary>A worker shut down in good order: nothing is placed on it until it registers again.</summary>
public static class DrainWorker
{
    public static Decision<WorkerEvent> Decide(WorkerDrained message, Worker worker) =>
        worker.SessionId == message.SessionId && worker.Status is WorkerStatus.Active or WorkerStatus.Lost
            ? [new WorkerEvent.Drained(message.SessionId, message.At)]
            : [];
}

public sealed class WorkerDrainedConsumer(EventStore.EventStore store) : InboxConsumer<WorkerDrained>(store)
{
    protected override TenantId TenantOf(WorkerDrained message) => TenantId.Operator;

    protected override Task Handle(WorkerDrained message, EventTransaction transaction, CancellationToken cancellation) =>
        transaction.Decide<Worker, WorkerEvent>(
            Worker.Stream(message.WorkerId), worker => DrainWorker.Decide(message, worker), cancellation);
}
