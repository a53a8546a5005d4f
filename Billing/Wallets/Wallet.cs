using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CreditGranted), "wallet.credit_granted.v1")]
[JsonDerivedType(typeof(CreditConsumed), "wallet.credit_consumed.v1")]
[JsonDerivedType(typeof(CreditExpired), "wallet.credit_expired.v1")]
[JsonDerivedType(typeof(CreditVoided), "wallet.credit_voided.v1")]
[JsonDerivedType(typeof(CreditRefunded), "wallet.credit_refunded.v1")]
public abstract record WalletEvent;

/// <summary>Where credit comes from, and so how the books take it.</summary>
public enum CreditKind
{
    /// <summary>The tenant paid for it.</summary>
    Prepaid,

    /// <summary>A gift.</summary>
    Promotional,

    /// <summary>Something that was invoiced was taken back: a correction that exceeded its invoice, or a credit note.</summary>
    Adjustment,
}

/// <param name="Priority">0 to 100; the lower is used first.</param>
/// <param name="ExpiresAt">No invoice finalized then or later can use it; null where it does not expire.</param>
/// <param name="SourceInvoiceId">The invoice that it was taken back from; absent for what was paid or given.</param>
/// <param name="SourcePaymentId">The payment of the top-up that it was bought by, which posts it too; absent for other credit.</param>
public sealed record CreditGranted(
    CreditGrantId GrantId, Money Amount, CreditKind Kind, int Priority, Instant? ExpiresAt, string Reason, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] InvoiceId? SourceInvoiceId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PaymentId? SourcePaymentId = null) : WalletEvent;

/// <param name="Amount">The sum of the parts.</param>
public sealed record CreditConsumed(InvoiceId InvoiceId, Money Amount, IReadOnlyList<CreditPart> Parts, Instant At) : WalletEvent
{
    // By content: a list compares by reference.
    public bool Equals(CreditConsumed? other) =>
        other is not null && (InvoiceId, Amount, At) == (other.InvoiceId, other.Amount, other.At) && Parts.SequenceEqual(other.Parts);

    public override int GetHashCode() => HashCode.Combine(InvoiceId, Amount, Parts.Count, At);
}

/// <param name="Amount">What was left.</param>
public sealed record CreditExpired(CreditGrantId GrantId, CreditKind Kind, Money Amount, Instant ExpiredAt, Instant At) : WalletEvent;

/// <param name="Amount">What was left. What was consumed before stays consumed.</param>
public sealed record CreditVoided(CreditGrantId GrantId, CreditKind Kind, Money Amount, string Reason, Instant At) : WalletEvent;

/// <summary>Unused credit of a top-up is paid back; the refund has posted it.</summary>
public sealed record CreditRefunded(CreditGrantId GrantId, CreditKind Kind, Money Amount, RefundId RefundId, string Reason, Instant At)
    : WalletEvent;

/// <summary>What one grant gave.</summary>
public sealed record CreditPart(CreditGrantId GrantId, CreditKind Kind, Money Amount);

/// <summary>A grant and what is left of it.</summary>
/// <param name="SourcePaymentId">The payment of the top-up that it was bought by; null for other credit.</param>
public sealed record CreditGrant(
    CreditGrantId GrantId, CreditKind Kind, int Priority, Instant? ExpiresAt, Money Remaining, PaymentId? SourcePaymentId = null)
{
    public bool HasExpired(Instant at) => ExpiresAt <= at;
}

/// <summary>A tenant's credit. There is one wallet per tenant, in the tenant's currency.</summary>
/// <param name="Grants">In the order in which they were given; those with nothing left stay, so that none is given twice.</param>
public sealed record Wallet(IReadOnlyList<CreditGrant> Grants) : IEvolve<Wallet, WalletEvent>
{
    public static Wallet Initial => new([]);

    public static StreamId Stream(TenantId tenant) => new(tenant.Value, "wallet", tenant.Value);

    public CreditGrant? Find(CreditGrantId grant) => Grants.FirstOrDefault(it => it.GrantId == grant);

    /// <summary>What an invoice finalized at an instant could use.</summary>
    public Money Usable(Currency currency, Instant at) => Grants
        .Where(grant => !grant.HasExpired(at))
        .Aggregate(Money.Zero(currency), (sum, grant) => sum + grant.Remaining);

    /// <summary>What is left of the credit that a payment bought.</summary>
    public Money UnusedOf(PaymentId payment, Currency currency, Instant at) => Grants
        .Where(grant => grant.SourcePaymentId == payment && !grant.HasExpired(at))
        .Aggregate(Money.Zero(currency), (sum, grant) => sum + grant.Remaining);

    public static Wallet Evolve(Wallet wallet, WalletEvent @event) => @event switch
    {
        CreditGranted it => wallet with
        {
            Grants = [.. wallet.Grants, new(it.GrantId, it.Kind, it.Priority, it.ExpiresAt, it.Amount, it.SourcePaymentId)],
        },
        CreditConsumed it => it.Parts.Aggregate(wallet, (rest, part) => rest.Less(part.GrantId, part.Amount)),
        CreditExpired it => wallet.Less(it.GrantId, it.Amount),
        CreditVoided it => wallet.Less(it.GrantId, it.Amount),
        CreditRefunded it => wallet.Less(it.GrantId, it.Amount),
        _ => throw new UnreachableException($"Wallet does not know {@event.GetType().Name}."),
    };

    private Wallet Less(CreditGrantId grant, Money amount) => this with
    {
        Grants = [.. Grants.Select(it => it.GrantId == grant ? it with { Remaining = it.Remaining - amount } : it)],
    };
}
