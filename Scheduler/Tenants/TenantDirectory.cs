using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Fleet;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Tenants;

/// <summary>
/// The Scheduler's copy of who may call it, kept by <c>TenantRegistered</c>, <c>ApiKeyIssued</c> and <c>ApiKeyRevoked</c>. It is
/// read before the caller's tenant is known, so in the system role.
/// </summary>
public sealed class TenantDirectory(SystemDatabase database) : IApiKeyDirectory
{
    public async ValueTask<KnownApiKey?> Find(string keyHash, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand(
            "select api_key_id, tenant_id, scope from scheduler.api_keys where key_hash = $1 and revoked_at is null");
        command.Parameters.Add(new() { Value = keyHash });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(ApiKeyId.From(reader.GetGuid(0)), TenantId.From(reader.GetGuid(1)), Enum.Parse<ApiKeyScope>(reader.GetString(2)))
            : null;
    }

    public async ValueTask<bool> TenantExists(TenantId tenant, CancellationToken cancellation) =>
        await IsActive(tenant, cancellation);

    public async Task<bool> IsActive(TenantId tenant, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand("select true from scheduler.tenants where tenant_id = $1");
        command.Parameters.Add(new() { Value = tenant.Value });
        return await command.ExecuteScalarAsync(cancellation) is true;
    }
}
