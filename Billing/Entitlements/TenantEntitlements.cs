using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Entitlements;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(EntitlementsChanged), "entitlements.changed.v1")]
public abstract record EntitlementsEvent;

/// <summary>What the tenant may use from now on, all of it.</summary>
/// <param name="Version">1 for the first, then without a gap.</param>
public sealed record EntitlementsChanged(TenantId TenantId, long Version, Grants Grants, Instant At) : EntitlementsEvent;

/// <param name="Version">0 before anything was ever granted.</param>
public sealed record TenantEntitlements(long Version, Grants Grants) : IEvolve<TenantEntitlements, EntitlementsEvent>
{
    public static TenantEntitlements Initial => new(Version: 0, Grants.None);

    public static StreamId Stream(TenantId tenant) => new(tenant.Value, "entitlements", tenant.Value);

    public static TenantEntitlements Evolve(TenantEntitlements entitlements, EntitlementsEvent @event) => @event switch
    {
        EntitlementsChanged it => new(it.Version, it.Grants),
        _ => throw new UnreachableException($"Entitlements do not know {@event.GetType().Name}."),
    };
}
