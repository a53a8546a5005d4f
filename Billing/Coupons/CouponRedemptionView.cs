using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Coupons;

/// <summary>A redeemed coupon as its tenant sees it.</summary>
/// <param name="SubscriptionId">Whose lines alone are discounted; null for all of the tenant's.</param>
/// <param name="Applied">The invoices that it discounted, oldest first.</param>
/// <param name="EndedAt">Periods that end later are not discounted.</param>
public sealed record CouponRedemptionView(
    CouponRedemptionId RedemptionId, CouponId CouponId, string Code, string DisplayName, CouponDiscount Discount, CouponDuration Duration,
    int? Periods, IReadOnlyList<PlanId> PlanIds, IReadOnlyList<ProductId> ProductIds, SubscriptionId? SubscriptionId,
    IReadOnlyList<RedeemedCoupon.AppliedDiscount> Applied, Instant RedeemedAt, Instant? EndedAt)
{
    public static void Map(RouteGroupBuilder redemptions)
    {
        redemptions.MapGet("/", List).WithName("ListCouponRedemptions");
        redemptions.MapGet("/{id}", Get).WithName("GetCouponRedemption");
    }

    public static async Task<CouponRedemptionView?> Find(
        Documents documents, TenantId tenant, CouponRedemptionId id, CancellationToken cancellation) =>
        await documents.Find(tenant.Value, RedeemedCoupon.Table, id.Value, Stored.Json<RedeemedCoupon>(), cancellation) is { } redeemed
            ? Of(redeemed)
            : null;

    private static CouponRedemptionView Of(RedeemedCoupon it) => new(
        it.RedemptionId, it.CouponId, it.Terms.Code, it.Terms.DisplayName, it.Terms.Discount, it.Terms.Duration, it.Terms.Periods,
        it.Terms.PlanIds, it.Terms.ProductIds, it.SubscriptionId, it.Applied, it.RedeemedAt, it.EndedAt);

    private static Task<Ok<Page<CouponRedemptionView>>> List(
        [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<RedeemedCoupon, CouponRedemptionView>(
            caller.TenantId, RedeemedCoupon.Table, page, newestFirst: false, Of, cancellation);

    private static async Task<Results<Ok<CouponRedemptionView>, ProblemHttpResult>> Get(
        CouponRedemptionId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } redemption
            ? TypedResults.Ok(redemption)
            : Problems.NotFound("coupon_redemption");
}
