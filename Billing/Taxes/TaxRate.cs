using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Taxes;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(TaxRatePublished), "tax_rate.published.v1")]
[JsonDerivedType(typeof(TaxRateArchived), "tax_rate.archived.v1")]
public abstract record TaxRateEvent;

public sealed record TaxRatePublished(TaxRateId TaxRateId, TaxRateTerms Terms, Instant At) : TaxRateEvent;

/// <summary>It was wrong: no invoice is taxed by it from now on. Those that were keep their tax.</summary>
public sealed record TaxRateArchived(TaxRateId TaxRateId, Instant At) : TaxRateEvent;

public enum TaxRateStatus
{
    Missing,
    Active,
    Archived,
}

public sealed record TaxRate(TaxRateStatus Status) : IEvolve<TaxRate, TaxRateEvent>
{
    public static TaxRate Initial => new(TaxRateStatus.Missing);

    public static StreamId Stream(TaxRateId rate) => new(TenantId.Operator.Value, "tax_rate", rate.Value);

    public static TaxRate Evolve(TaxRate rate, TaxRateEvent @event) => @event switch
    {
        TaxRatePublished => new(TaxRateStatus.Active),
        TaxRateArchived => new(TaxRateStatus.Archived),
        _ => throw new UnreachableException($"TaxRate does not know {@event.GetType().Name}."),
    };
}
