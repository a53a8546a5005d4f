using NodaTime;
using Npgsql;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.Entitlements;

/// <summary>
/// Works out what a tenant may use, and tells the other processes where that is something else than before: in the transaction that
/// changed one of its subscriptions, and when it is time to look again (<see cref="ReviewEntitlements"/>).
/// </summary>
public static class RecordEntitlements
{
    /// <param name="Grants">Of all running subscriptions, with the limits that are reached.</param>
    public sealed record Command(TenantId TenantId, Grants Grants, Instant At);

    public static Decision<EntitlementsEvent> Decide(Command command, TenantEntitlements entitlements) =>
        command.Grants == entitlements.Grants
            ? []
            : [new EntitlementsChanged(command.TenantId, entitlements.Version + 1, command.Grants, command.At)];

    /// <param name="changes">What was appended to a subscription of the tenant in this transaction.</param>
    public static async Task After(
        IReadOnlyList<SubscriptionEvent> changes, EventTransaction transaction, Documents documents, Instant at,
        CancellationToken cancellation)
    {
        // Periods that go by are most of a subscription's events. What begins with the next one is looked at when it begins, which may be
        // long before the close.
        if (!changes.All(change => change is PeriodClosed or NothingLate))
            await Renew(transaction, documents, at, cancellation);
    }

    /// <returns>Whether anything is different from before.</returns>
    public static async Task<bool> Renew(EventTransaction transaction, Documents documents, Instant at, CancellationToken cancellation)
    {
        var tenant = TenantId.From(transaction.TenantId);
        var current = await CurrentEntitlements.Read(transaction.Connection, tenant, documents, at, cancellation);

        var stream = TenantEntitlements.Stream(tenant);
        var (entitlements, version) = await transaction.Load<TenantEntitlements, EntitlementsEvent>(stream, cancellation);
        var decision = Decide(new(tenant, current.Grants, at), entitlements);
        foreach (var it in decision.Events.OfType<EntitlementsChanged>())
        {
            transaction.Publish(new Messages.EntitlementsChanged(
                tenant, it.Version, it.Grants.Features, [.. it.Grants.Limits.Select(limit => limit.ToMessage())], at));
        }

        if (decision.Events.Count > 0)
            await transaction.Append(stream, version, cancellation, decision.Events);

        await LookAgain(transaction, current, cancellation);
        return decision.Events.Count > 0;
    }

    // At the next turn, and before it if the ledger grows: this transaction has the tenant's lane, so nothing was reported since it measured.
    private static async Task LookAgain(EventTransaction transaction, CurrentEntitlements current, CancellationToken cancellation)
    {
        await using var command = current.Turns is [var turn, ..]
            ? transaction.Connection.Command(
                """
                insert into billing.entitlement_looks (tenant_id, next_at, usage_through)
                values ($1, $2, case when $3 then (select coalesce(max(position), 0) from billing.usage_heads where tenant_id = $1) end)
                on conflict (tenant_id) do update set next_at = excluded.next_at, usage_through = excluded.usage_through
                """,
                Sql.P(transaction.TenantId), Sql.P(turn),
                new NpgsqlParameter<bool> { TypedValue = current.Grants.Limits.Any(limit => limit.IsWatched) })
            : transaction.Connection.Command(
                "delete from billing.entitlement_looks where tenant_id = $1", Sql.P(transaction.TenantId));
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
