using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.AddOns;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(AddOnDefined), "add_on.defined.v1")]
public abstract record AddOnEvent;

/// <param name="Amount">Of one of it: for each whole billing period, or once.</param>
/// <param name="ProductId">What it sells; absent where that is not told apart.</param>
/// <param name="TaxCategory">The category of products by which it is taxed; absent for <c>standard</c>.</param>
public sealed record AddOnDefined(
    AddOnId AddOnId, string Key, string DisplayName, Money Amount, AddOnKind Kind, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TaxCategory = null) : AddOnEvent;

public enum AddOnKind
{
    /// <summary>Owed for each billing period, prorated by days.</summary>
    Recurring,

    /// <summary>Owed once, with the period in which it was attached.</summary>
    OneOff,
}

public sealed record AddOn(bool Exists) : IEvolve<AddOn, AddOnEvent>
{
    public static AddOn Initial => new(Exists: false);

    public static StreamId Stream(AddOnId addOn) => new(TenantId.Operator.Value, "add_on", addOn.Value);

    public static AddOn Evolve(AddOn addOn, AddOnEvent @event) => @event switch
    {
        AddOnDefined => new(Exists: true),
        _ => throw new UnreachableException($"AddOn does not know {@event.GetType().Name}."),
    };
}
