using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Payments;

/// <summary>Asks the gateway what became of refunds that are open, and makes those of which it does not know.</summary>
public sealed class SettleRefunds(BillingDatabase database, MakeRefund make) : IDueWork
{
    // A refund whose outcome is known has no check_at.
    private const string Open =
        $"""
        select tenant_id, id, (data ->> 'payment_id')::uuid as payment_id, (data ->> 'check_at')::timestamptz as check_at
        from billing.{RefundView.Table} where data ->> 'status' = 'pending'
        """;

    public string Name => "refund_payment";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            select distinct check_at, tenant_id from ({Open}) refund
            where check_at <= $1 and ($2 is null or (check_at, tenant_id) > ($2, $3)) and {TenantView.IsLive}
            order by check_at, tenant_id limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        await Due(tenant, upTo, cancellation) is [var first, ..] ? first.CheckAt : null;

    /// <returns>How many refunds it asked after.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var due = await Due(tenant, asOf, cancellation);
        foreach (var (payment, refund, _) in due)
            await make.Proceed(tenant, payment, refund, asked: true, cause, cancellation);
        return due.Count;
    }

    private Task<IReadOnlyList<(PaymentId Payment, RefundId Refund, Instant CheckAt)>> Due(
        TenantId tenant, Instant asOf, CancellationToken cancellation) => database.Read(
            tenant,
            $"select payment_id, id, check_at from ({Open} and tenant_id = $1) refund where check_at <= $2 order by check_at, id",
            row => (new PaymentId(row.GetGuid(0)), new RefundId(row.GetGuid(1)), row.Instant(2)),
            cancellation,
            Sql.P(tenant.Value), Sql.P(asOf));
}
