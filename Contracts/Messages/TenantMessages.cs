using NodaTime;

namespace Platform.Contracts.Messages;

/// <summary>What a caller with an API key may do. A scope never reaches beyond the key's own tenant, but the operator's.</summary>
public enum ApiKeyScope
{
    /// <summary>Runs the platform: catalog, tenants, fleet, billing runs; may act for any tenant.</summary>
    Operator,

    /// <summary>Reads and writes everything of its own tenant.</summary>
    TenantAdmin,

    /// <summary>Reads everything of its own tenant and writes nothing.</summary>
    TenantViewer,

    /// <summary>An integrator: reports usage for and reads its own tenant; manages neither keys nor subscriptions.</summary>
    Partner,
}

/// <summary>Published by Billing: a tenant now exists and may submit jobs, unless it is a sandbox.</summary>
/// <param name="Sandbox">It tries billing out, in a time of its own: nothing of it runs on devices. A tenant is one for ever, or never.</param>
public sealed record TenantRegistered(
    TenantId TenantId, string Name, Currency Currency, string TimeZone, Instant At, bool Sandbox = false);

/// <summary>
/// Published by Billing so that every process can authenticate callers by itself. Holds the SHA-256 of the key in lower-case
/// hexadecimal, never the key.
/// </summary>
/// <param name="Sandbox">The tenant is a sandbox; said here too, because a key may be known before its tenant is.</param>
public sealed record ApiKeyIssued(
    ApiKeyId ApiKeyId, TenantId TenantId, ApiKeyScope Scope, string KeyHash, Instant At, bool Sandbox = false);

/// <summary>Published by Billing: from now on the key is refused everywhere.</summary>
public sealed record ApiKeyRevoked(ApiKeyId ApiKeyId, TenantId TenantId, Instant At);

/// <summary>Published by Billing: invoices stayed unpaid to the end of dunning; the tenant may not submit jobs until it is reinstated.</summary>
public sealed record TenantSuspended(TenantId TenantId, Instant At);

/// <summary>Published by Billing: what the tenant was suspended for is settled.</summary>
public sealed record TenantReinstated(TenantId TenantId, Instant At);
