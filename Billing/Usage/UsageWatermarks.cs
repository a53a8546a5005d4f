using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>What is made from usage beside the ledger keeps a watermark per tenant and type: the position that it has come to.</summary>
internal static class UsageWatermarks
{
    /// <summary>The tenant's types whose watermark is below the ledger's newest position.</summary>
    /// <param name="marks">The table that keeps the watermarks.</param>
    public static Answer<IReadOnlyList<string>> Behind(RoundTrip together, string marks, TenantId tenant) => together.Rows(
        $"""
        select head.type from billing.usage_heads head
        left join billing.{marks} mark on mark.tenant_id = head.tenant_id and mark.type = head.type
        where head.tenant_id = $1 and head.position > coalesce(mark.position, 0)
        order by head.type collate "C"
        """,
        row => row.GetString(0),
        Sql.P(tenant.Value));
}
