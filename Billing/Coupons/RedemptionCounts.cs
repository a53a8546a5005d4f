using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Coupons;

/// <summary>
/// How often each coupon was redeemed, over all tenants. A redemption counts itself in its own transaction: if that rolls back, so
/// does the count, and of two that want the last place one waits for the other.
/// </summary>
internal static class RedemptionCounts
{
    /// <summary>Take it last: other redemptions of the coupon wait from here to the commit.</summary>
    /// <param name="max">Null without limit.</param>
    /// <returns>False where the coupon was redeemed as often as it can be.</returns>
    public static async Task<bool> Take(EventTransaction transaction, CouponId coupon, int? max, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            insert into billing.coupon_redemption_counts as counter (coupon_id, redeemed) values ($1, 1)
            on conflict (coupon_id) do update set redeemed = counter.redeemed + 1 where counter.redeemed < $2
            """,
            Sql.P(coupon.Value), Sql.P(max ?? int.MaxValue));
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    public static async Task<IReadOnlyDictionary<CouponId, int>> Of(
        BillingDatabase database, IReadOnlyCollection<CouponId> coupons, CancellationToken cancellation)
    {
        var counts = await database.ReadAllTenants(
            "select coupon_id, redeemed from billing.coupon_redemption_counts where coupon_id = any($1)",
            row => (Coupon: new CouponId(row.GetGuid(0)), Redeemed: row.GetInt32(1)), cancellation,
            Sql.P([.. coupons.Select(coupon => coupon.Value)]));
        return counts.ToDictionary(count => count.Coupon, count => count.Redeemed);
    }
}
