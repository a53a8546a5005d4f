using System.Text.Json.Serialization;
using Platform.Contracts;

namespace Platform.Billing.Payments;

/// <summary>What a payment pays.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(InvoiceTarget), "invoice")]
[JsonDerivedType(typeof(TopUpTarget), "top_up")]
public abstract record PaymentTarget;

/// <summary>What is due of an invoice.</summary>
public sealed record InvoiceTarget(InvoiceId InvoiceId) : PaymentTarget;

/// <summary>Prepaid credit in the tenant's wallet, as much as is paid.</summary>
/// <param name="Automatic">The wallet's top-up rule asked for it; else a person did.</param>
public sealed record TopUpTarget(bool Automatic) : PaymentTarget;
