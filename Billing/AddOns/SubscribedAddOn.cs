using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.AddOns;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AddOnAttached), "subscribed_add_on.attached.v1")]
[JsonDerivedType(typeof(AddOnRemoved), "subscribed_add_on.removed.v1")]
public abstract record SubscribedAddOnEvent;

/// <summary>The subscription has the add-on from now on, at what it costs now.</summary>
public sealed record AddOnAttached(
    SubscribedAddOnId SubscribedAddOnId, SubscriptionId SubscriptionId, AddOnId AddOnId, string DisplayName, Money Amount,
    AddOnKind Kind, int Quantity, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TaxCategory = null) : SubscribedAddOnEvent;

public sealed record AddOnRemoved(Instant At) : SubscribedAddOnEvent;

/// <param name="Attached">Null before it was.</param>
public sealed record SubscribedAddOn(AddOnAttached? Attached, bool IsRemoved) : IEvolve<SubscribedAddOn, SubscribedAddOnEvent>
{
    public static SubscribedAddOn Initial => new(Attached: null, IsRemoved: false);

    public static StreamId Stream(TenantId tenant, SubscribedAddOnId addOn) => new(tenant.Value, "subscribed_add_on", addOn.Value);

    public static SubscribedAddOn Evolve(SubscribedAddOn addOn, SubscribedAddOnEvent @event) => @event switch
    {
        AddOnAttached it => addOn with { Attached = it },
        AddOnRemoved => addOn with { IsRemoved = true },
        _ => throw new UnreachableException($"SubscribedAddOn does not know {@event.GetType().Name}."),
    };
}
