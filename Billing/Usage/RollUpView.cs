using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>How far the caller's usage of each type is rolled up. Quantities are complete all the same.</summary>
public static class RollUpView
{
    public sealed record RollUps(IReadOnlyList<RollUp> Items);

    /// <param name="EventType">The type of the usage events.</param>
    /// <param name="Position">The watermark: what is in the roll-ups.</param>
    /// <param name="ReachedAt">When the watermark got there; null before the first time.</param>
    /// <param name="LedgerPosition">How far the ledger is.</param>
    public sealed record RollUp(string EventType, long Position, Instant? ReachedAt, long LedgerPosition);

    public static void Map(RouteGroupBuilder usage) => usage.MapGet("/rollups", List).WithName("ListUsageRollUps");

    private static async Task<Ok<RollUps>> List(Caller caller, BillingDatabase database, CancellationToken cancellation)
    {
        var rows = await database.Read(
            caller.TenantId,
            """
            select head.type, coalesce(mark.position, 0), mark.reached_at, head.position
            from billing.usage_heads head left join billing.usage_rollup_marks mark using (tenant_id, type)
            where tenant_id = $1 order by head.type
            """,
            row => new RollUp(row.GetString(0), row.GetInt64(1), row.IsDBNull(2) ? null : row.Instant(2), row.GetInt64(3)),
            cancellation,
            Sql.P(caller.TenantId.Value));
        return TypedResults.Ok(new RollUps(rows));
    }
}
