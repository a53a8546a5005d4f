using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Coupons;

/// <summary>
/// Takes a coupon for a tenant, or for one of its subscriptions: it discounts the invoices of periods that end from now on. A
/// tenant redeems a coupon once.
/// </summary>
public static class RedeemCoupon
{
    /// <param name="Code">The coupon's; upper and lower case are the same.</param>
    /// <param name="SubscriptionId">Only its lines are discounted; all of the tenant's if absent.</param>
    public sealed record NewRedemption(string Code, SubscriptionId? SubscriptionId = null);

    /// <param name="Coupon">Null where no coupon has the code.</param>
    /// <param name="Currency">The tenant's.</param>
    /// <param name="SubscriptionKnown">The tenant has the subscription, or none is named.</param>
    /// <param name="AlreadyRedeemed">The tenant redeemed the coupon before.</param>
    public sealed record Command(
        CouponRedemptionId RedemptionId, CouponRecord? Coupon, SubscriptionId? SubscriptionId, Currency Currency, bool SubscriptionKnown,
        bool AlreadyRedeemed, Instant At);

    public static Decision<CouponRedemptionEvent> Decide(Command command, CouponRedemption redemption)
    {
        if (redemption.Exists)
            return [];
        if (command.Coupon is not { Terms: var terms } coupon)
            return Refusal.Because("coupon.unknown", "There is no coupon with this code.", "code");
        if (coupon.ArchivedAt is not null || terms.ValidUntil <= command.At)
            return Refusal.Because("coupon.expired", "The coupon can no longer be redeemed.", "code");
        if (terms.Discount is FixedDiscount { Amount: var amount } && amount.Currency != command.Currency)
            return Refusal.Because("coupon.currency_differs", $"The tenant is billed in {command.Currency}.", "code");
        if (!command.SubscriptionKnown)
            return Refusal.Because("coupon.subscription_unknown", "There is no such subscription.", "subscription_id");
        if (command.AlreadyRedeemed)
            return Refusal.Because("coupon.already_redeemed", "The coupon was redeemed before.");

        return [new CouponRedeemed(command.RedemptionId, coupon.CouponId, terms, command.SubscriptionId, command.At)];
    }

    public static void Map(RouteGroupBuilder redemptions) =>
        redemptions.MapPost("/", Handle).WithName(nameof(RedeemCoupon)).ForAdmins().Idempotent();

    private static async Task<Results<Created<CouponRedemptionView>, ProblemHttpResult>> Handle(
        NewRedemption request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var (id, at) = (new CouponRedemptionId(requestId.Value), await clock.Now(tenant.TenantId, cancellation));
        var coupon = await CouponCode.Find(documents, CouponCode.Of(request.Code), cancellation);
        var subscriptionKnown = request.SubscriptionId is not { } subscription
            || await SubscriptionView.Find(documents, tenant.TenantId, subscription, cancellation) is not null;

        var refusal = await store.Transact(
            tenant.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var stream = CouponRedemption.Stream(tenant.TenantId, id);
                var (redemption, version) = await transaction.Load<CouponRedemption, CouponRedemptionEvent>(stream, token);
                var redeemed = coupon is not null && await IsRedeemed(transaction, coupon.CouponId, token);
                var decision = Decide(
                    new(id, coupon, request.SubscriptionId, tenant.Currency, subscriptionKnown, redeemed, at), redemption);
                if (decision.Events.Count == 0)
                    return decision.Refusal;
                if (!await RedemptionCounts.Take(transaction, coupon!.CouponId, coupon.Terms.RedemptionsMax, token))
                    return Refusal.Because("coupon.exhausted", "The coupon was redeemed as often as it can be.");

                await transaction.Append(stream, version, token, decision.Events);
                return null;
            },
            cancellation);
        return refusal is not null
            ? refusal.ToProblem()
            : TypedResults.Created(
                $"/v1/coupons/redemptions/{id}", (await CouponRedemptionView.Find(documents, tenant.TenantId, id, cancellation))!);
    }

    private static async Task<bool> IsRedeemed(EventTransaction transaction, CouponId coupon, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            "select exists (select from billing.coupon_redemptions where tenant_id = $1 and data ->> 'coupon_id' = $2)",
            Sql.P(transaction.TenantId), Sql.P(coupon.ToString()));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }
}
