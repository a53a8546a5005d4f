using System.Diagnostics;
using NodaTime;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

/// <summary>One row per grant with what is left of it. The table refuses a row with less than nothing left.</summary>
public sealed class CreditGrantRows : Projection
{
    private const string Table = "credit_grants";

    public override string Name => Table;

    public override IReadOnlyList<string> Tables => [Table];

    public override bool Folds(Type eventType) => typeof(WalletEvent).IsAssignableFrom(eventType);

    public override Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        foreach (var recorded in page)
        {
            switch (recorded.Data)
            {
                case CreditGranted it:
                    Granted(it);
                    break;
                case CreditConsumed it:
                    foreach (var part in it.Parts)
                        Less(part.GrantId, part.Amount);
                    break;
                case CreditExpired it:
                    Less(it.GrantId, it.Amount);
                    break;
                case CreditVoided it:
                    Less(it.GrantId, it.Amount);
                    break;
                case CreditRefunded it:
                    Less(it.GrantId, it.Amount);
                    break;
                case var other:
                    throw new UnreachableException($"Credit grants do not know {other.GetType().Name}.");
            }

            void Granted(CreditGranted it) => tables.Write(
                $"""
                insert into {tables.Qualify(Table)}
                    (tenant_id, grant_id, number, kind, priority, currency, amount, remaining, expires_at, reason, source_invoice_id,
                     granted_at, source_payment_id)
                values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12)
                """,
                Sql.P(recorded.Stream.TenantId), Sql.P(it.GrantId.Value), Sql.P(recorded.Version), Sql.P($"{it.Kind}".ToLowerInvariant()),
                Sql.P(it.Priority), Sql.P(it.Amount.Currency.Code), Sql.P(it.Amount.MinorUnits), Sql.Optional(it.ExpiresAt),
                Sql.P(it.Reason), Sql.Optional(it.SourceInvoiceId?.Value), Sql.P(it.At),
                Sql.Optional(it.SourcePaymentId?.Value));

            void Less(CreditGrantId grant, Money amount) => tables.Write(
                $"update {tables.Qualify(Table)} set remaining = remaining - $3 where tenant_id = $1 and grant_id = $2",
                Sql.P(recorded.Stream.TenantId), Sql.P(grant.Value), Sql.P(amount.MinorUnits));
        }

        return Task.CompletedTask;
    }

    /// <summary>A page of the moments at which credit of live tenants expired that is not written off, the oldest first.</summary>
    public static Task<IReadOnlyList<DueTenant>> Expired(
        BillingDatabase database, Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            select distinct expires_at, tenant_id from billing.credit_grants
            where remaining > 0 and expires_at <= $1 and ($2 is null or (expires_at, tenant_id) > ($2, $3)) and {TenantView.IsLive}
            order by expires_at, tenant_id
            limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    /// <summary>The earliest expiry of what is left, up to an instant; null where there is none.</summary>
    public static async Task<Instant?> NextExpiry(
        BillingDatabase database, TenantId tenant, Instant upTo, CancellationToken cancellation)
    {
        var next = await database.Read<Instant?>(
            tenant,
            """
            select expires_at from billing.credit_grants
            where tenant_id = $1 and remaining > 0 and expires_at <= $2
            order by expires_at limit 1
            """,
            row => row.Instant(0),
            cancellation,
            Sql.P(tenant.Value), Sql.P(upTo));
        return next.SingleOrDefault();
    }
}
