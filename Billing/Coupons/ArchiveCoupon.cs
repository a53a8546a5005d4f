using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Coupons;

/// <summary>Takes a coupon out of the catalog: nobody can redeem it any more. What was redeemed before goes on.</summary>
public static class ArchiveCoupon
{
    public sealed record Command(CouponId CouponId, Instant At);

    public static Decision<CouponEvent> Decide(Command command, Coupon coupon) => coupon.Status switch
    {
        CouponStatus.Missing => Refusal.Because("coupon.not_found", "There is no such coupon."),
        CouponStatus.Archived => [],
        _ => [new CouponArchived(command.CouponId, command.At)],
    };

    public static void Map(RouteGroupBuilder coupons) =>
        coupons.MapPost("/{id}/archive", Handle).WithName(nameof(ArchiveCoupon)).ForOperators().Idempotent();

    private static async Task<Results<Ok<CouponView>, ProblemHttpResult>> Handle(
        CouponId id, Caller caller, EventStore.EventStore store, Documents documents, BillingDatabase database, TimeProvider clock,
        CancellationToken cancellation)
    {
        var command = new Command(id, clock.Now());
        var decided = await store.Decide<Coupon, CouponEvent>(
            Coupon.Stream(id), coupon => Decide(command, coupon), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await CouponView.Find(documents, database, id, cancellation))!);
    }
}
