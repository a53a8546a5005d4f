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
    // How long a hard limit on usage may have been reached before anybody hears of it, and a correction of usage likewise.
    private static readonly Duration LookInterval = Duration.FromMinutes(5);

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
        if (decision.Events.Count > 0)
            await transaction.Append(stream, version, cancellation, decision.Events);
        foreach (var it in decision.Events.OfType<EntitlementsChanged>())
        {
            transaction.Publish(new Messages.EntitlementsChanged(
                tenant, it.Version, it.Grants.Features, [.. it.Grants.Limits.Select(limit => limit.ToMessage())], at));
        }

        await LookAgain(transaction, NextLook(current, at), cancellation);
        return decision.Events.Count > 0;
    }

    /// <summary>When grants may be something else though nobody changes a subscription; null for never.</summary>
    public static Instant? NextLook(CurrentEntitlements current, Instant at)
    {
        Instant? turn = current.Turns.Count > 0 ? current.Turns[0] : null;
        return current.Grants.Limits.Any(limit => limit.IsWatched) ? Instant.Min(turn ?? Instant.MaxValue, at + LookInterval) : turn;
    }

    private static async Task LookAgain(EventTransaction transaction, Instant? next, CancellationToken cancellation)
    {
        await using var command = next is { } at
            ? transaction.Connection.Command(
                """
                insert into billing.entitlement_looks (tenant_id, next_at) values ($1, $2)
                on conflict (tenant_id) do update set next_at = excluded.next_at
                """,
                Sql.P(transaction.TenantId), Sql.P(at))
            : transaction.Connection.Command(
                "delete from billing.entitlement_looks where tenant_id = $1", Sql.P(transaction.TenantId));
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
