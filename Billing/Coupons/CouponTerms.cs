using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Coupons;

/// <summary>What a coupon takes off. <c>kind</c> on the wire chooses the case.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(FixedDiscount), "fixed")]
[JsonDerivedType(typeof(PercentDiscount), "percent")]
public abstract record CouponDiscount;

/// <param name="Amount">Off each billing period in which the coupon holds; above zero.</param>
public sealed record FixedDiscount(Money Amount) : CouponDiscount;

/// <param name="Rate">A fraction above 0, up to 1: 0.25 is 25 %.</param>
public sealed record PercentDiscount(decimal Rate) : CouponDiscount;

/// <summary>For how many billing periods a redeemed coupon holds.</summary>
public enum CouponDuration
{
    Once,

    /// <summary>For the number of periods that the coupon names.</summary>
    Repeating,
    Forever,
}

/// <summary>Everything that a coupon promises. It never changes: who redeemed a coupon keeps what was promised.</summary>
/// <param name="Code">What people type, in upper case.</param>
/// <param name="DisplayName">The text on the invoice.</param>
/// <param name="Periods">With <c>repeating</c> alone.</param>
/// <param name="PlanIds">Only lines of these plans are discounted; of all plans where it is empty.</param>
/// <param name="ProductIds">Only lines that sell these products are discounted; all lines where it is empty.</param>
/// <param name="Priority">Lower ones take their part first.</param>
/// <param name="Stacks">False: it shares no line with another coupon.</param>
/// <param name="ValidUntil">From then on nobody can redeem it; what was redeemed before goes on. Null: for ever.</param>
/// <param name="RedemptionsMax">How often it can be redeemed, by all tenants together. Null: without limit.</param>
public sealed record CouponTerms(
    string Code, string DisplayName, CouponDiscount Discount, CouponDuration Duration, int? Periods, IReadOnlyList<PlanId> PlanIds,
    IReadOnlyList<ProductId> ProductIds, int Priority, bool Stacks, Instant? ValidUntil, int? RedemptionsMax)
{
    /// <summary>How many billing periods it holds for; null for ever.</summary>
    [JsonIgnore]
    public int? PeriodsMax => Duration switch
    {
        CouponDuration.Once => 1,
        CouponDuration.Repeating => Periods,
        _ => null,
    };

    public bool Equals(CouponTerms? other) =>
        other is not null
        && (Code, DisplayName, Discount, Duration, Periods, Priority, Stacks, ValidUntil, RedemptionsMax) == (
            other.Code, other.DisplayName, other.Discount, other.Duration, other.Periods, other.Priority, other.Stacks, other.ValidUntil,
            other.RedemptionsMax)
        && PlanIds.SequenceEqual(other.PlanIds) && ProductIds.SequenceEqual(other.ProductIds);

    public override int GetHashCode() => HashCode.Combine(Code, Discount, Duration, Periods, Priority, PlanIds.Count, ProductIds.Count);
}
