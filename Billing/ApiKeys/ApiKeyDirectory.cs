using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.ApiKeys;

/// <summary>Answers who calls from this process's own keys.</summary>
internal sealed class ApiKeyDirectory(BillingDatabase database, Documents documents) : IApiKeyDirectory
{
    public async ValueTask<KnownApiKey?> Find(string keyHash, CancellationToken cancellation)
    {
        var found = await database.ReadAllTenants(
            """
            select id, tenant_id, data ->> 'scope' from billing.api_keys
            where data ->> 'key_hash' = $1 and data ->> 'revoked_at' is null
            """,
            row => new KnownApiKey(new(row.GetGuid(0)), new(row.GetGuid(1)), ScopeOf(row.GetString(2))),
            cancellation,
            Sql.P(keyHash));
        return found is [var key] ? key : null;
    }

    public async ValueTask<bool> TenantExists(TenantId tenant, CancellationToken cancellation) =>
        await Tenants.TenantView.Find(documents, tenant, cancellation) is not null;

    private static ApiKeyScope ScopeOf(string text) => text switch
    {
        "operator" => ApiKeyScope.Operator,
        "tenant_admin" => ApiKeyScope.TenantAdmin,
        "tenant_viewer" => ApiKeyScope.TenantViewer,
        "partner" => ApiKeyScope.Partner,
        _ => throw new InvalidOperationException($"No scope is named {text}."),
    };
}
