using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Coupons;

/// <summary>A coupon that a tenant redeemed, and what it has taken off since, as it is stored.</summary>
/// <param name="Applied">The invoices that it discounted, oldest first.</param>
public sealed record RedeemedCoupon(
    CouponRedemptionId RedemptionId, CouponId CouponId, CouponTerms Terms, SubscriptionId? SubscriptionId,
    IReadOnlyList<RedeemedCoupon.AppliedDiscount> Applied, Instant RedeemedAt, Instant? EndedAt)
{
    public const string Table = "coupon_redemptions";

    /// <param name="PeriodEnd">The end by the calendar of the invoice's billing period; slices of one period count as one.</param>
    public sealed record AppliedDiscount(InvoiceId InvoiceId, Instant PeriodEnd, Money Amount, Instant At);

    /// <summary>Whether it discounts the invoice of a period.</summary>
    /// <param name="billed">What the invoice is for: a billing period or a slice of one.</param>
    /// <param name="calendarEnd">When the billing period by the calendar ends.</param>
    public bool Holds(BillingPeriod billed, Instant calendarEnd)
    {
        var used = Applied.Select(it => it.PeriodEnd).Distinct().ToList();
        return RedeemedAt <= billed.End && (EndedAt is null || billed.End <= EndedAt)
            && (used.Contains(calendarEnd) || Terms.PeriodsMax is not { } max || used.Count < max);
    }

    /// <summary>What earlier slices of a billing period by the calendar took of it.</summary>
    public Money TakenFrom(Instant calendarEnd, Currency currency) => Applied
        .Where(it => it.PeriodEnd == calendarEnd)
        .Aggregate(Money.Zero(currency), (sum, it) => sum + it.Amount);

    /// <summary>What was known of it when an invoice was made.</summary>
    /// <param name="invoice">Null for one that is being made.</param>
    public RedeemedCoupon KnownAt(Instant at, InvoiceId? invoice) => this with
    {
        Applied = [.. Applied.TakeWhile(it => it.InvoiceId != invoice).Where(it => it.At <= at)],
        EndedAt = EndedAt <= at ? EndedAt : null,
    };

    public static RedeemedCoupon Fold(RedeemedCoupon? view, CouponRedemptionEvent @event) => (view, @event) switch
    {
        (_, CouponRedeemed it) => new(
            it.RedemptionId, it.CouponId, it.Terms, it.SubscriptionId, Applied: [], it.At, EndedAt: null),
        ({ } redeemed, RedemptionApplied it) => redeemed with
        {
            Applied = [.. redeemed.Applied, new(it.InvoiceId, it.PeriodEnd, it.Amount, it.At)],
        },
        ({ } redeemed, RedemptionEnded it) => redeemed with { EndedAt = it.At },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };
}

public sealed class CouponRedemptionProjection : DocumentProjection<RedeemedCoupon, CouponRedemptionEvent>
{
    public override string Name => "coupon_redemptions";

    protected override string Table => RedeemedCoupon.Table;

    protected override JsonTypeInfo<RedeemedCoupon> Json => Stored.Json<RedeemedCoupon>();

    protected override RedeemedCoupon? Fold(RedeemedCoupon? view, CouponRedemptionEvent @event, RecordedEvent recorded) =>
        RedeemedCoupon.Fold(view, @event);
}
