using MassTransit;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Attempts;

namespace Platform.GpuWorker.Bus;

/// <summary>
/// Takes an attempt. The message is acknowledged when the attempt has been accepted, not when it ends hours later: if the
/// process dies, the Scheduler learns it from the heartbeats and places the job again.
/// </summary>
public sealed class ExecuteJobConsumer(AttemptTable attempts) : IConsumer<ExecuteJob>
{
    public Task Consume(ConsumeContext<ExecuteJob> context)
    {
        attempts.Accept(context.Message);
        return Task.CompletedTask;
    }
}

public sealed class CancelAttemptConsumer(AttemptTable attempts) : IConsumer<CancelAttempt>
{
    public Task Consume(ConsumeContext<CancelAttempt> context)
    {
        attempts.Cancel(context.Message);
        return Task.CompletedTask;
    }
}
