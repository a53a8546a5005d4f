using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

/// <summary>What an invoice finalized now could use.</summary>
/// <param name="Balance">The sum of what is left of the grants.</param>
/// <param name="Grants">Those with something left that has not expired, in the order in which invoices use them.</param>
public sealed record WalletView(Money Balance, IReadOnlyList<CreditGrantView> Grants)
{
    public static void Map(RouteGroupBuilder wallet)
    {
        wallet.MapGet("/", Get).WithName("GetWallet");
        wallet.MapGet("/grants", ListGrants).WithName("ListCreditGrants");
        wallet.MapGet("/grants/{id}", GetGrant).WithName("GetCreditGrant");
    }

    private static async Task<Results<Ok<WalletView>, ProblemHttpResult>> Get(
        Caller caller, Documents documents, BillingDatabase database, TenantClock clock, CancellationToken cancellation)
    {
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var now = await clock.Now(tenant.TenantId, cancellation);
        var grants = await CreditGrantView.Usable(database, tenant.TenantId, now, cancellation);
        return TypedResults.Ok(new WalletView(
            grants.Aggregate(Money.Zero(tenant.Currency), (sum, grant) => sum + grant.Remaining), grants));
    }

    private static async Task<Ok<Page<CreditGrantView>>> ListGrants(
        [AsParameters] PageQuery page, Caller caller, BillingDatabase database, CancellationToken cancellation) => TypedResults.Ok(page.Of(
            await CreditGrantView.List(database, caller.TenantId, page.After, page.Size + 1, cancellation), grant => grant.GrantId.Value));

    private static async Task<Results<Ok<CreditGrantView>, ProblemHttpResult>> GetGrant(
        CreditGrantId id, Caller caller, BillingDatabase database, CancellationToken cancellation) =>
        await CreditGrantView.Find(database, caller.TenantId, id, cancellation) is { } grant
            ? TypedResults.Ok(grant)
            : Problems.NotFound("credit_grant");
}

/// <summary>A grant as people read it.</summary>
/// <param name="Amount">What was granted.</param>
/// <param name="Remaining">What is left: not consumed, not written off, not voided.</param>
/// <param name="ExpiresAt">Null where it does not expire.</param>
/// <param name="SourceInvoiceId">The invoice that it was taken back from; null for what was paid or given.</param>
/// <param name="SourcePaymentId">The payment of the top-up that it was bought by; null for other credit.</param>
public sealed record CreditGrantView(
    CreditGrantId GrantId, CreditKind Kind, int Priority, Money Amount, Money Remaining, Instant? ExpiresAt, string Reason,
    InvoiceId? SourceInvoiceId, PaymentId? SourcePaymentId, Instant GrantedAt)
{
    private const string Select =
        """
        select grant_id, kind, priority, amount, remaining, currency, expires_at, reason, source_invoice_id, granted_at,
               source_payment_id
        from billing.credit_grants where tenant_id = $1
        """;

    public static async Task<CreditGrantView?> Find(
        BillingDatabase database, TenantId tenant, CreditGrantId grant, CancellationToken cancellation) =>
        (await database.Read(tenant, $"{Select} and grant_id = $2", Row, cancellation, Sql.P(tenant.Value), Sql.P(grant.Value)))
        .SingleOrDefault();

    /// <summary>A page of all grants, in the order of their ids.</summary>
    internal static Task<IReadOnlyList<CreditGrantView>> List(
        BillingDatabase database, TenantId tenant, Guid? after, int limit, CancellationToken cancellation) => database.Read(
        tenant, $"{Select} and ($2 is null or grant_id > $2) order by grant_id limit $3", Row, cancellation,
        Sql.P(tenant.Value), Sql.Optional(after), Sql.P(limit));

    /// <summary>In the order of <see cref="BurnDown"/>.</summary>
    internal static Task<IReadOnlyList<CreditGrantView>> Usable(
        BillingDatabase database, TenantId tenant, Instant at, CancellationToken cancellation) => database.Read(
        tenant,
        $"""
        {Select} and remaining > 0 and (expires_at is null or expires_at > $2)
        order by priority, expires_at nulls last, number
        """,
        Row, cancellation, Sql.P(tenant.Value), Sql.P(at));

    private static CreditGrantView Row(NpgsqlDataReader row)
    {
        var currency = Currency.Parse(row.GetString(5));
        return new(
            new(row.GetGuid(0)), Enum.Parse<CreditKind>(row.GetString(1), ignoreCase: true), row.GetInt32(2), new(row.GetInt64(3), currency),
            new(row.GetInt64(4), currency), row.IsDBNull(6) ? null : row.Instant(6), row.GetString(7),
            row.IsDBNull(8) ? null : new InvoiceId(row.GetGuid(8)), row.IsDBNull(10) ? null : new PaymentId(row.GetGuid(10)),
            row.Instant(9));
    }
}
