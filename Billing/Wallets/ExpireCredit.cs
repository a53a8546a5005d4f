using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

/// <summary>
/// Writes off what is left of grants whose expiry has come. Invoices do not use expired credit whether it is written off yet or not, so
/// nothing depends on when this runs.
/// </summary>
public sealed class ExpireCredit(EventStore.EventStore store, BillingDatabase database, TenantClock clock) : IDueWork
{
    public string Name => "expire_credit";

    /// <param name="asOf">What expires at or before it has expired.</param>
    public static Decision<WalletEvent> Decide(Instant asOf, Instant at, Wallet wallet) =>
    [
        .. wallet.Grants
            .Where(grant => grant.Remaining.MinorUnits > 0 && grant.HasExpired(asOf))
            .Select(grant => new CreditExpired(grant.GrantId, grant.Kind, grant.Remaining, grant.ExpiresAt!.Value, at)),
    ];

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        CreditGrantRows.Expired(database, asOf, after, limit, cancellation);

    public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        CreditGrantRows.NextExpiry(database, tenant, upTo, cancellation);

    /// <returns>How many grants it wrote off.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var at = await clock.Now(tenant, cancellation);
        var count = 0;
        await store.Decide<Wallet, WalletEvent>(
            Wallet.Stream(tenant),
            wallet =>
            {
                var decision = Decide(asOf, at, wallet);
                count = decision.Events.Count;
                return decision;
            },
            cause, cancellation);
        return count;
    }
}
