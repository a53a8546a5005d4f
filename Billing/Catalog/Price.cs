using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PricePublished), "price.published.v1")]
public abstract record PriceEvent;

/// <summary>An entry of the price book. It never changes; a later one takes its place from its own beginning on.</summary>
/// <param name="TenantId">The tenant whose override it is; the operator for the book's own.</param>
/// <param name="Key">What charges name.</param>
/// <param name="UnitAmount">Exact, in major units.</param>
/// <param name="ValidUntil">Absent where nothing but another price ends it.</param>
public sealed record PricePublished(
    PriceId PriceId, TenantId TenantId, string Key, Currency Currency, decimal UnitAmount, Instant ValidFrom, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Instant? ValidUntil = null) : PriceEvent;

public sealed record Price(bool Exists) : IEvolve<Price, PriceEvent>
{
    public static Price Initial => new(Exists: false);

    public static StreamId Stream(TenantId tenant, PriceId price) => new(tenant.Value, "price", price.Value);

    public static Price Evolve(Price price, PriceEvent @event) => @event switch
    {
        PricePublished => new(Exists: true),
        _ => throw new UnreachableException($"Price does not know {@event.GetType().Name}."),
    };
}
