using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

public enum TopUpRuleStatus
{
    Active,

    /// <summary>It asks for no more until it is set anew.</summary>
    SwitchedOff,
}

/// <summary>When the wallet is topped up by itself.</summary>
/// <param name="Code">Why it was switched off; null while it is active.</param>
/// <param name="NextAt">From when it may ask for a top-up, if less than the threshold is usable then; null where it is switched off.</param>
public sealed record TopUpRuleView(
    Money Threshold, Money Amount, Money? MonthlyMax, TopUpRuleStatus Status, string? Code, Instant? NextAt)
{
    public static void Map(RouteGroupBuilder wallet) => wallet.MapGet("/top-up-rule", Get).WithName("GetTopUpRule");

    /// <summary>Null where there is none.</summary>
    public static async Task<TopUpRuleView?> Find(BillingDatabase database, TenantId tenant, CancellationToken cancellation) =>
        (await database.Read(
            tenant,
            $"""
            select currency, threshold, amount, monthly_max, code, next_at from billing.{TopUpRows.Table}
            where tenant_id = $1 and threshold is not null
            """,
            Row, cancellation, Sql.P(tenant.Value))).SingleOrDefault();

    private static async Task<Results<Ok<TopUpRuleView>, ProblemHttpResult>> Get(
        Caller caller, BillingDatabase database, CancellationToken cancellation) =>
        await Find(database, caller.TenantId, cancellation) is { } rule
            ? TypedResults.Ok(rule)
            : Problems.NotFound("top_up_rule");

    private static TopUpRuleView Row(NpgsqlDataReader row)
    {
        var currency = Currency.Parse(row.GetString(0));
        var next = row.IsDBNull(5) ? (Instant?)null : row.Instant(5);
        return new(
            new(row.GetInt64(1), currency), new(row.GetInt64(2), currency), row.IsDBNull(3) ? null : new(row.GetInt64(3), currency),
            next is null ? TopUpRuleStatus.SwitchedOff : TopUpRuleStatus.Active, row.Text(4), next);
    }
}
