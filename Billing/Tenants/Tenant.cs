using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tenants;

// The names on the wire are chosen here, once, and never change; the C# names may.
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(TenantRegistered), "tenant.registered.v1")]
[JsonDerivedType(typeof(TenantClockAdvanced), "tenant.clock_advanced.v1")]
[JsonDerivedType(typeof(BillingSettingsChanged), "tenant.billing_settings_changed.v1")]
[JsonDerivedType(typeof(TenantSuspended), "tenant.suspended.v1")]
[JsonDerivedType(typeof(TenantReinstated), "tenant.reinstated.v1")]
public abstract record TenantEvent;

/// <param name="TimeZone">IANA name; billing periods and usage windows begin at this zone's midnights.</param>
/// <param name="BillingAnchorDay">Day of the month, 1 to 31, on which billing periods begin.</param>
/// <param name="Clock">The time at which a sandbox begins; absent where the tenant is live.</param>
public sealed record TenantRegistered(
    TenantId TenantId, string Name, Currency Currency, string TimeZone, int BillingAnchorDay, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Instant? Clock = null) : TenantEvent;

/// <summary>It is <paramref name="To"/> for the sandbox now.</summary>
public sealed record TenantClockAdvanced(Instant To) : TenantEvent;

public sealed record BillingSettingsChanged(BillingSettings Settings, Instant At) : TenantEvent;

/// <param name="InvoiceId">The invoice that stayed unpaid to the end of dunning; there may be others.</param>
public sealed record TenantSuspended(InvoiceId InvoiceId, Instant At) : TenantEvent;

/// <summary>All that it was suspended for is settled.</summary>
public sealed record TenantReinstated(Instant At) : TenantEvent;

/// <param name="SuspendedAt">Set while it may not submit jobs.</param>
/// <param name="Clock">What time it is for a sandbox; null for a live tenant, whose time is the real one.</param>
public sealed record Tenant(
    bool Exists, string Name, Currency Currency, string TimeZone, int BillingAnchorDay, Instant? Clock,
    BillingSettings Settings, Instant? SuspendedAt) : IEvolve<Tenant, TenantEvent>
{
    public static Tenant Initial => new(
        Exists: false, Name: "", Currency: default, TimeZone: "Etc/UTC", BillingAnchorDay: 1, Clock: null, BillingSettings.Default,
        SuspendedAt: null);

    public static StreamId Stream(TenantId tenant) => new(tenant.Value, "tenant", tenant.Value);

    public static Tenant Evolve(Tenant tenant, TenantEvent @event) => @event switch
    {
        TenantRegistered it => new(
            Exists: true, it.Name, it.Currency, it.TimeZone, it.BillingAnchorDay, it.Clock, BillingSettings.Default, SuspendedAt: null),
        BillingSettingsChanged it => tenant with { Settings = it.Settings },
        TenantSuspended it => tenant with { SuspendedAt = it.At },
        TenantReinstated => tenant with { SuspendedAt = null },
        TenantClockAdvanced it => tenant with { Clock = it.To },
        _ => throw new UnreachableException($"Tenant does not know {@event.GetType().Name}."),
    };
}
