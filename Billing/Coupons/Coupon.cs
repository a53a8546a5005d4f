using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Coupons;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CouponCreated), "coupon.created.v1")]
[JsonDerivedType(typeof(CouponArchived), "coupon.archived.v1")]
public abstract record CouponEvent;

public sealed record CouponCreated(CouponId CouponId, CouponTerms Terms, Instant At) : CouponEvent;

/// <summary>Nobody can redeem it from now on. What was redeemed before goes on, and the code stays taken.</summary>
public sealed record CouponArchived(CouponId CouponId, Instant At) : CouponEvent;

public enum CouponStatus
{
    Missing,
    Active,
    Archived,
}

public sealed record Coupon(CouponStatus Status) : IEvolve<Coupon, CouponEvent>
{
    public static Coupon Initial => new(CouponStatus.Missing);

    public static StreamId Stream(CouponId coupon) => new(TenantId.Operator.Value, "coupon", coupon.Value);

    public static Coupon Evolve(Coupon coupon, CouponEvent @event) => @event switch
    {
        CouponCreated => new(CouponStatus.Active),
        CouponArchived => new(CouponStatus.Archived),
        _ => throw new UnreachableException($"Coupon does not know {@event.GetType().Name}."),
    };
}
