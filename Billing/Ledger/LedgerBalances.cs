using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Ledger;

/// <summary>The accounts as all postings left them: of one tenant, or of all live ones.</summary>
/// <param name="Totals">Of all accounts, per currency: debits equal credits, always.</param>
public sealed record LedgerBalances(IReadOnlyList<LedgerBalances.Balance> Balances, IReadOnlyList<LedgerBalances.Total> Totals)
{
    /// <param name="Kind">The kind of line, where the account is kept by it.</param>
    /// <param name="Net">Debit less credit: positive on assets and expenses, negative on liabilities and income.</param>
    public sealed record Balance(Account Account, LineKind? Kind, Money Debit, Money Credit, Money Net);

    public sealed record Total(Money Debit, Money Credit);

    public static void Map(RouteGroupBuilder ledger)
    {
        ledger.MapGet("/balances", OfTenant).WithName("GetLedgerBalances");
        ledger.MapGet("/trial-balance", OfAll).WithName("GetTrialBalance").ForOperators();
    }

    private static async Task<Ok<LedgerBalances>> OfTenant(
        Caller caller, BillingDatabase database, CancellationToken cancellation) =>
        TypedResults.Ok(From(await database.Read(
            caller.TenantId,
            """
            select account, kind, currency, debit, credit from billing.ledger_balances
            where tenant_id = $1 order by currency, account, kind
            """,
            Read,
            cancellation,
            Sql.P(caller.TenantId.Value))));

    private static async Task<Ok<LedgerBalances>> OfAll(BillingDatabase database, CancellationToken cancellation) =>
        TypedResults.Ok(From(await database.ReadAllTenants(
            $"""
            select account, kind, currency, sum(debit)::bigint, sum(credit)::bigint from billing.ledger_balances
            where {TenantView.IsLive}
            group by account, kind, currency order by currency, account, kind
            """,
            Read,
            cancellation)));

    private static Balance Read(NpgsqlDataReader row)
    {
        var currency = Currency.Parse(row.GetString(2));
        var (debit, credit) = (new Money(row.GetInt64(3), currency), new Money(row.GetInt64(4), currency));
        return new(LedgerEntries.AccountNamed(row.GetString(0)), LedgerEntries.KindNamed(row.GetString(1)), debit, credit, debit - credit);
    }

    private static LedgerBalances From(IReadOnlyList<Balance> balances) => new(
        balances,
        [
            .. balances.GroupBy(balance => balance.Debit.Currency).Select(currency => currency.Aggregate(
                new Total(Money.Zero(currency.Key), Money.Zero(currency.Key)),
                (total, balance) => new(total.Debit + balance.Debit, total.Credit + balance.Credit))),
        ]);
}
