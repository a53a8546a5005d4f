using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Taxes;

/// <summary>How a tenant is taxed.</summary>
public enum TaxTreatment
{
    Taxable,

    /// <summary>It owes no tax, for a reason that its invoices name.</summary>
    Exempt,

    /// <summary>It owes the tax itself, to its own authority.</summary>
    ReverseCharge,
}

/// <summary>Where and how a tenant is taxed.</summary>
/// <param name="Jurisdiction">ISO 3166: a country or one of its parts, for example <c>DE</c> or <c>US-CA</c>.</param>
/// <param name="TaxId">The tenant's own, as it stands on its invoices.</param>
/// <param name="Reason">Why it is not taxed, as it stands on its invoices.</param>
public sealed record TaxProfileTerms(string Jurisdiction, string? TaxId, TaxTreatment Treatment, string? Reason);

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(TaxProfileSet), "tax_profile.set.v1")]
public abstract record TaxProfileEvent;

public sealed record TaxProfileSet(TaxProfileTerms Terms, Instant At) : TaxProfileEvent;

/// <param name="Terms">Null where the tenant was never given any: it is not taxed.</param>
public sealed record TaxProfile(TaxProfileTerms? Terms) : IEvolve<TaxProfile, TaxProfileEvent>
{
    public static TaxProfile Initial => new(Terms: null);

    public static StreamId Stream(TenantId tenant) => new(tenant.Value, "tax_profile", tenant.Value);

    public static TaxProfile Evolve(TaxProfile profile, TaxProfileEvent @event) => @event switch
    {
        TaxProfileSet it => new(it.Terms),
        _ => throw new UnreachableException($"TaxProfile does not know {@event.GetType().Name}."),
    };
}
