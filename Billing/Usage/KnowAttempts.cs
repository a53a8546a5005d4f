using MassTransit;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>Remembers who may report an attempt's use, and takes what was reported before this was known.</summary>
public sealed class JobPlacedConsumer(EventStore.EventStore store, TimeProvider clock) : InboxConsumer<JobPlaced>(store)
{
    protected override TenantId TenantOf(JobPlaced message) => message.TenantId;

    protected override async Task Handle(JobPlaced message, EventTransaction transaction, CancellationToken cancellation)
    {
        await using var insert = transaction.Connection.Command(
            """
            insert into billing.usage_attempts (tenant_id, attempt_id, job_id, worker_id, placed_at) values ($1, $2, $3, $4, $5)
            on conflict (tenant_id, attempt_id) do nothing
            """,
            Sql.P(message.TenantId.Value), Sql.P(message.AttemptId.Value), Sql.P(message.JobId.Value),
            Sql.P(message.WorkerId.Value), Sql.P(message.At));
        await insert.ExecuteNonQueryAsync(cancellation);

        await TakeUsageBatch.Release(
            transaction, UsageBatchCheck.AttemptUnknown, message.AttemptId.Value, worker: null, clock.Now(), cancellation);
    }
}

/// <summary>Remembers every key a worker ever signed with, and takes what was reported before this one was known.</summary>
public sealed class WorkerRegisteredConsumer(EventStore.EventStore store, BillingDatabase database, TimeProvider clock)
    : IConsumer<WorkerRegistered>
{
    public async Task Consume(ConsumeContext<WorkerRegistered> context)
    {
        var (message, cancellation) = (context.Message, context.CancellationToken);
        await database.WriteShared(
            async connection =>
            {
                await using var locking = connection.Command(
                    "select pg_advisory_xact_lock(hashtextextended('worker_keys/' || $1, 0))", Sql.P(message.WorkerId.ToString()));
                await locking.ExecuteNonQueryAsync(cancellation);
                await using var insert = connection.Command(
                    """
                    insert into billing.worker_keys (worker_id, public_key, registered_at) values ($1, $2, $3)
                    on conflict (worker_id, public_key) do nothing
                    """,
                    Sql.P(message.WorkerId.Value), Sql.P(message.PublicKey), Sql.P(message.At));
                await insert.ExecuteNonQueryAsync(cancellation);
            },
            cancellation);

        var waiting = await database.ReadAllTenants(
            "select distinct tenant_id from billing.usage_quarantine where worker_id = $1 and code = 'worker_unknown'",
            row => row.GetGuid(0), cancellation, Sql.P(message.WorkerId.Value));
        var cause = new Cause(context.CorrelationId ?? context.ConversationId, context.MessageId, $"worker/{message.WorkerId}");
        foreach (var tenant in waiting)
        {
            await store.Transact(
                tenant,
                cause,
                async (transaction, token) =>
                {
                    await TakeUsageBatch.Release(
                        transaction, UsageBatchCheck.WorkerUnknown, attempt: null, message.WorkerId.Value, clock.Now(), token);
                    return true;
                },
                cancellation);
        }
    }
}
