using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Entitlements;

/// <summary>
/// Looks again at what a tenant may use where that changes without anybody changing a subscription: use comes to a hard limit, is voided,
/// or begins anew with a billing period; a quantity that limits are multiplied by changes at its time. Live tenants are looked at when that
/// time comes or their ledger has grown, so who uses nothing costs nothing.
/// </summary>
public sealed class ReviewEntitlements(EventStore.EventStore store, BillingDatabase database, Documents documents, TenantClock clock)
    : IDueWork
{
    public string Name => "review_entitlements";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            with due as (
                select least(next_at, $1) as at, tenant_id from billing.entitlement_looks look
                where (next_at <= $1
                       or usage_through < (select max(position) from billing.usage_heads head where head.tenant_id = look.tenant_id))
                  and {TenantView.IsLive})
            select at, tenant_id from due where $2 is null or (at, tenant_id) > ($2, $3) order by at, tenant_id limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    /// <summary>
    /// Nothing is reported to a sandbox while its clock goes on, so grants change now, if use was reported since the last look, or at one
    /// of their turns.
    /// </summary>
    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation)
    {
        var looks = await database.Read(
            tenant, "select next_at from billing.entitlement_looks where tenant_id = $1", row => row.Instant(0), cancellation,
            Sql.P(tenant.Value));
        if (looks.Count == 0)
            return null;

        var told = (await EntitlementsRecord.Find(documents, tenant, cancellation))?.Grants ?? Grants.None;
        var now = await clock.Now(tenant, cancellation);
        var current = await Read(tenant, now, cancellation);
        if (current.Grants != told)
            return now;
        foreach (var turn in current.Turns.TakeWhile(turn => turn <= upTo))
        {
            if ((await Read(tenant, turn, cancellation)).Grants != told)
                return turn;
        }

        return null;
    }

    /// <summary>As of the tenant's time now: a message that comes late must not bring a period back that is over.</summary>
    /// <returns>1 where grants changed.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var now = await clock.Now(tenant, cancellation);
        return await store.Transact(
            tenant.Value, cause, (transaction, token) => RecordEntitlements.Renew(transaction, documents, now, token), cancellation)
            ? 1
            : 0;
    }

    private Task<CurrentEntitlements> Read(TenantId tenant, Instant at, CancellationToken cancellation) => database.Read(
        tenant, connection => CurrentEntitlements.Read(connection, tenant, documents, at, cancellation), cancellation);
}
