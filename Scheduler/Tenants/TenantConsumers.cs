using MassTransit;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Fleet;

namespace Platform.Scheduler.Tenants;

// None of these needs an inbox: each row says what is so, however often and in whatever order the messages come.

public sealed class TenantRegisteredConsumer(SystemDatabase database) : IConsumer<TenantRegistered>
{
    public async Task Consume(ConsumeContext<TenantRegistered> context)
    {
        var message = context.Message;
        await using var command = database.Source.CreateCommand(
            """
            insert into scheduler.tenants (tenant_id, name, sandbox) values ($1, $2, $3)
            on conflict (tenant_id) do update set name = excluded.name, sandbox = excluded.sandbox
            """);
        command.Parameters.Add(new() { Value = message.TenantId.Value });
        command.Parameters.Add(new() { Value = message.Name });
        command.Parameters.Add(new() { Value = message.Sandbox });
        await command.ExecuteNonQueryAsync(context.CancellationToken);
    }
}

/// <summary>
/// A key proves its tenant: where it overtakes the tenant's own message, the tenant is known from now on and may submit, unless it is a
/// sandbox, which the key says too.
/// </summary>
public sealed class ApiKeyIssuedConsumer(SystemDatabase database) : IConsumer<ApiKeyIssued>
{
    public async Task Consume(ConsumeContext<ApiKeyIssued> context)
    {
        var message = context.Message;
        await using var batch = database.Source.CreateBatch();
        batch.BatchCommands.Add(new(
            """
            insert into scheduler.tenants (tenant_id, name, sandbox) values ($1, null, $2)
            on conflict (tenant_id) do update set sandbox = excluded.sandbox
            """)
        {
            Parameters = { new() { Value = message.TenantId.Value }, new() { Value = message.Sandbox } },
        });
        batch.BatchCommands.Add(new(
            """
            insert into scheduler.api_keys (tenant_id, api_key_id, scope, key_hash) values ($1, $2, $3, $4)
            on conflict (tenant_id, api_key_id) do update set scope = excluded.scope, key_hash = excluded.key_hash
            """)
        {
            Parameters =
            {
                new() { Value = message.TenantId.Value },
                new() { Value = message.ApiKeyId.Value },
                new() { Value = message.Scope.ToString() },
                new() { Value = message.KeyHash },
            },
        });
        await batch.ExecuteNonQueryAsync(context.CancellationToken);
    }
}

public sealed class EntitlementsChangedConsumer(TenantDirectory directory) : IConsumer<EntitlementsChanged>
{
    public Task Consume(ConsumeContext<EntitlementsChanged> context) => directory.Keep(context.Message, context.CancellationToken);
}

/// <summary>Leaves a mark even for a key that is not known yet: its late issue must not bring it to life.</summary>
public sealed class ApiKeyRevokedConsumer(SystemDatabase database) : IConsumer<ApiKeyRevoked>
{
    public async Task Consume(ConsumeContext<ApiKeyRevoked> context)
    {
        var message = context.Message;
        await using var command = database.Source.CreateCommand(
            """
            insert into scheduler.api_keys (tenant_id, api_key_id, revoked_at) values ($1, $2, $3)
            on conflict (tenant_id, api_key_id) do update set revoked_at = excluded.revoked_at
            """);
        command.Parameters.Add(new() { Value = message.TenantId.Value });
        command.Parameters.Add(new() { Value = message.ApiKeyId.Value });
        command.Parameters.Add(new() { Value = message.At.ToDateTimeUtc() });
        await command.ExecuteNonQueryAsync(context.CancellationToken);
    }
}

/// <summary>Running jobs go on; new ones are refused.</summary>
public sealed class TenantSuspendedConsumer(SystemDatabase database) : IConsumer<TenantSuspended>
{
    public Task Consume(ConsumeContext<TenantSuspended> context) => TenantDirectory.SetStanding(
        database, context.Message.TenantId, suspended: true, context.Message.At, context.CancellationToken);
}

public sealed class TenantReinstatedConsumer(SystemDatabase database) : IConsumer<TenantReinstated>
{
    public Task Consume(ConsumeContext<TenantReinstated> context) => TenantDirectory.SetStanding(
        database, context.Message.TenantId, suspended: false, context.Message.At, context.CancellationToken);
}
