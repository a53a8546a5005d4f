using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>How far the ledger of a tenant's usage of one type is, and how far what is made of it beside the ledger has come.</summary>
/// <param name="Newest">The last one, of an event or a correction.</param>
/// <param name="RolledUp">Sums by hour have all up to there (<see cref="RollUpUsage"/>).</param>
/// <param name="Bound">Parts of trees have all up to there (<see cref="SealUsage"/>).</param>
public sealed record UsageWatermark(string Type, long Newest, long RolledUp, long Bound)
{
    private static readonly SharedQuery<TenantId, UsageWatermark> ofTenants = new(
        """
        select place, head.type, head.position, coalesce(rolled.position, 0), coalesce(bound.position, 0)
        from unnest($1) with ordinality asked (tenant_id, place)
        join billing.usage_heads head on head.tenant_id = asked.tenant_id
        left join billing.usage_rollup_marks rolled on rolled.tenant_id = head.tenant_id and rolled.type = head.type
        left join billing.usage_seal_marks bound on bound.tenant_id = head.tenant_id and bound.type = head.type
        order by head.type collate "C"
        """,
        tenants => [Sql.P([.. tenants.Select(it => it.Value)])],
        row => new(row.GetString(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4)));

    /// <summary>Those of every type that the tenant has used, in the order of their names.</summary>
    public static Answer<IReadOnlyList<UsageWatermark>> Of(RoundTrip together, TenantId tenant) => together.Ask(ofTenants, tenant);

    /// <summary>The newest position of the tenant's ledger; 0 for an empty one.</summary>
    public static long NewestOf(IReadOnlyList<UsageWatermark> all) => all.Select(it => it.Newest).DefaultIfEmpty(0).Max();
}
