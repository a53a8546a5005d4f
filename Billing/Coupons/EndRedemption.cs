using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Coupons;

/// <summary>
/// Ends what a coupon takes off: periods that end later are not discounted by it. Its place among the coupon's redemptions stays
/// taken, and the tenant cannot redeem the coupon again.
/// </summary>
public static class EndRedemption
{
    public static Decision<CouponRedemptionEvent> Decide(Instant now, CouponRedemption redemption) => redemption switch
    {
        { Exists: false } => Refusal.Because("coupon_redemption.not_found", "There is no such redemption."),
        { EndedAt: not null } => [],
        _ => [new RedemptionEnded(now)],
    };

    public static void Map(RouteGroupBuilder redemptions) =>
        redemptions.MapPost("/{id}/end", Handle).WithName(nameof(EndRedemption)).ForAdmins().Idempotent();

    private static async Task<Results<Ok<CouponRedemptionView>, ProblemHttpResult>> Handle(
        CouponRedemptionId id, Caller caller, EventStore.EventStore store, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        var decided = await store.Decide<CouponRedemption, CouponRedemptionEvent>(
            CouponRedemption.Stream(caller.TenantId, id), redemption => Decide(now, redemption), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await CouponRedemptionView.Find(documents, caller.TenantId, id, cancellation))!);
    }
}
