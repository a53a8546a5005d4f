using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Coupons;

/// <summary>The name that people type to redeem a coupon. Upper and lower case are the same; it is kept in upper case.</summary>
internal static class CouponCode
{
    public static string Of(string typed) => typed.Trim().ToUpperInvariant();

    /// <summary>Asked in the operator's lane, so that nobody takes the code in between; a unique index stands behind it.</summary>
    public static async Task<bool> IsTaken(
        EventTransaction transaction, string code, CouponId except, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            "select exists (select from billing.coupons where data -> 'terms' ->> 'code' = $1 and id <> $2)",
            Sql.P(code), Sql.P(except.Value));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Null where no coupon has the code.</summary>
    public static async Task<CouponRecord?> Find(Documents documents, string code, CancellationToken cancellation)
    {
        var rows = await documents.List(
            TenantId.Operator.Value, CouponRecord.Table, Stored.Json<CouponRecord>(), limit: 1, after: null, newestFirst: false,
            cancellation, "data -> 'terms' ->> 'code' = $1", Sql.P(code));
        return rows.Count == 0 ? null : rows[0].View;
    }
}
