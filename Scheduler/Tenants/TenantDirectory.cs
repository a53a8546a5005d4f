using System.Text.Json;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Fleet;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Tenants;

/// <summary>
/// The Scheduler's copy of who may call it and what for, kept by <c>TenantRegistered</c>, <c>ApiKeyIssued</c>, <c>ApiKeyRevoked</c> and
/// <c>EntitlementsChanged</c>. It is read before the caller's tenant is known, so in the system role.
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
        await StandingOf(tenant, cancellation) != TenantStanding.Unknown;

    public async Task<TenantStanding> StandingOf(TenantId tenant, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand("select sandbox, suspended from scheduler.tenants where tenant_id = $1");
        command.Parameters.Add(new() { Value = tenant.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? (reader.GetBoolean(0), reader.GetBoolean(1)) switch
            {
                (true, _) => TenantStanding.Sandbox,
                (_, true) => TenantStanding.Suspended,
                _ => TenantStanding.Active,
            }
            : TenantStanding.Unknown;
    }

    /// <summary>The newest word counts, in whatever order words come; of two of one instant the one that lets the tenant go on.</summary>
    internal static async Task SetStanding(
        SystemDatabase database, TenantId tenant, bool suspended, Instant at, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand(
            """
            insert into scheduler.tenants as known (tenant_id, suspended, standing_at) values ($1, $2, $3)
            on conflict (tenant_id) do update set suspended = excluded.suspended, standing_at = excluded.standing_at
            where known.standing_at is null or known.standing_at < excluded.standing_at
               or (known.standing_at = excluded.standing_at and not excluded.suspended)
            """);
        command.Parameters.Add(new() { Value = tenant.Value });
        command.Parameters.Add(new() { Value = suspended });
        command.Parameters.Add(new() { Value = at.ToDateTimeUtc() });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>What the tenant may use: anything, where nothing was said of it.</summary>
    public async Task<Entitlements> EntitlementsOf(TenantId tenant, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand("select entitlements from scheduler.tenants where tenant_id = $1");
        command.Parameters.Add(new() { Value = tenant.Value });
        return await command.ExecuteScalarAsync(cancellation) is string stated
            ? JsonSerializer.Deserialize(stated, SchedulerJson.Stored<Entitlements>())!
            : Entitlements.Unlimited;
    }

    /// <summary>
    /// The newest version holds: an older message that comes later changes nothing. Entitlements prove their tenant, as a key does.
    /// </summary>
    public async Task Keep(EntitlementsChanged message, CancellationToken cancellation)
    {
        await using var command = database.Source.CreateCommand(
            """
            insert into scheduler.tenants (tenant_id, entitlements, entitlements_version) values ($1, $2, $3)
            on conflict (tenant_id) do update
                set entitlements = excluded.entitlements, entitlements_version = excluded.entitlements_version
                where tenants.entitlements_version < excluded.entitlements_version
            """);
        command.Parameters.Add(new() { Value = message.TenantId.Value });
        command.Parameters.Add(new()
        {
            Value = JsonSerializer.Serialize(new(message.Features, message.Limits), SchedulerJson.Stored<Entitlements>()),
            NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Jsonb,
        });
        command.Parameters.Add(new() { Value = message.Version });
        await command.ExecuteNonQueryAsync(cancellation);
    }
}

/// <summary>Whether a tenant may submit jobs.</summary>
public enum TenantStanding
{
    Unknown,
    Active,

    /// <summary>It has not paid: Billing suspended it.</summary>
    Suspended,

    /// <summary>It tries billing out; no device works for it.</summary>
    Sandbox,
}
