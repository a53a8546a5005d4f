using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ProductDefined), "product.defined.v1")]
public abstract record ProductEvent;

/// <param name="Key">The stable name that reports use, for example <c>inference</c>.</param>
public sealed record ProductDefined(ProductId ProductId, string Key, string DisplayName, Business Business, Instant At) : ProductEvent;

/// <summary>The ways in which the company earns.</summary>
public enum Business
{
    /// <summary>Training and inference, by subscription or by use.</summary>
    ModelServices,

    /// <summary>Devices for hours or months.</summary>
    HardwareLeases,

    /// <summary>Data sets of others, for a commission.</summary>
    DataTrading,

    Consulting,
}

public sealed record Product(bool Exists) : IEvolve<Product, ProductEvent>
{
    public static Product Initial => new(Exists: false);

    public static StreamId Stream(ProductId product) => new(TenantId.Operator.Value, "product", product.Value);

    public static Product Evolve(Product product, ProductEvent @event) => @event switch
    {
        ProductDefined => new(Exists: true),
        _ => throw new UnreachableException($"Product does not know {@event.GetType().Name}."),
    };
}
