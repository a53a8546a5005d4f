using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PaymentMethodAttached), "payment_method.attached.v1")]
[JsonDerivedType(typeof(PaymentMethodDetached), "payment_method.detached.v1")]
public abstract record PaymentMethodEvent;

/// <param name="Gateway">Who gave the token and charges it: <c>sandbox</c>.</param>
/// <param name="Token">What the gateway knows the card or account by. Card data are never here.</param>
public sealed record PaymentMethodAttached(
    PaymentMethodId PaymentMethodId, TenantId TenantId, string Gateway, string Token, Instant At) : PaymentMethodEvent;

public sealed record PaymentMethodDetached(Instant At) : PaymentMethodEvent;

public enum PaymentMethodStatus
{
    Missing,
    Attached,
    Detached,
}

public sealed record PaymentMethod(PaymentMethodStatus Status) : IEvolve<PaymentMethod, PaymentMethodEvent>
{
    public static PaymentMethod Initial => new(PaymentMethodStatus.Missing);

    public static StreamId Stream(TenantId tenant, PaymentMethodId method) => new(tenant.Value, "payment_method", method.Value);

    public static PaymentMethod Evolve(PaymentMethod method, PaymentMethodEvent @event) => @event switch
    {
        PaymentMethodAttached => new(PaymentMethodStatus.Attached),
        PaymentMethodDetached => new(PaymentMethodStatus.Detached),
        _ => throw new UnreachableException($"PaymentMethod does not know {@event.GetType().Name}."),
    };
}
