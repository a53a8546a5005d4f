using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Coupons;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CouponRedeemed), "coupon.redeemed.v1")]
[JsonDerivedType(typeof(RedemptionApplied), "coupon_redemption.applied.v1")]
[JsonDerivedType(typeof(RedemptionEnded), "coupon_redemption.ended.v1")]
public abstract record CouponRedemptionEvent;

/// <param name="Terms">What the coupon promised; the tenant's books need no look into the catalog.</param>
/// <param name="SubscriptionId">Whose lines alone are discounted; null for all of the tenant's.</param>
public sealed record CouponRedeemed(
    CouponRedemptionId RedemptionId, CouponId CouponId, CouponTerms Terms, SubscriptionId? SubscriptionId, Instant At)
    : CouponRedemptionEvent;

/// <summary>An invoice was discounted by it.</summary>
/// <param name="PeriodEnd">The end by the calendar of the billing period that the invoice is for.</param>
public sealed record RedemptionApplied(InvoiceId InvoiceId, Instant PeriodEnd, Money Amount, Instant At) : CouponRedemptionEvent;

public sealed record RedemptionEnded(Instant At) : CouponRedemptionEvent;

/// <summary>Only what the features need to decide. What invoices are discounted by is <see cref="RedeemedCoupon"/>.</summary>
public sealed record CouponRedemption(bool Exists, Instant? EndedAt) : IEvolve<CouponRedemption, CouponRedemptionEvent>
{
    public static CouponRedemption Initial => new(Exists: false, EndedAt: null);

    public static StreamId Stream(TenantId tenant, CouponRedemptionId redemption) =>
        new(tenant.Value, "coupon_redemption", redemption.Value);

    public static CouponRedemption Evolve(CouponRedemption redemption, CouponRedemptionEvent @event) => @event switch
    {
        CouponRedeemed => redemption with { Exists = true },
        RedemptionApplied => redemption,
        RedemptionEnded it => redemption with { EndedAt = it.At },
        _ => throw new UnreachableException($"CouponRedemption does not know {@event.GetType().Name}."),
    };
}
