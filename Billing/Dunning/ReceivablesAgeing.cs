using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Dunning;

/// <summary>What live tenants owe in one currency, by how long it is past due; what was given up is left out.</summary>
/// <param name="Current">Not due yet.</param>
/// <param name="UpTo30">Past due for at most 30 days of 24 hours; a day that has begun counts.</param>
public sealed record ReceivablesAgeing(
    Currency Currency, Money Current,
    [property: JsonPropertyName("days_1_to_30")] Money UpTo30,
    [property: JsonPropertyName("days_31_to_60")] Money UpTo60,
    [property: JsonPropertyName("days_61_to_90")] Money UpTo90,
    [property: JsonPropertyName("days_over_90")] Money Over90,
    Money Total)
{
    public static void Map(RouteGroupBuilder receivables) =>
        receivables.MapGet("/ageing", List).WithName("GetReceivablesAgeing").ForOperators();

    private static async Task<Ok<Page<ReceivablesAgeing>>> List(
        BillingDatabase database, TimeProvider clock, CancellationToken cancellation)
    {
        var currencies = await database.ReadAllTenants(
            $"""
            select currency,
                   coalesce(sum(amount_due) filter (where days <= 0), 0)::bigint,
                   coalesce(sum(amount_due) filter (where days between 1 and 30), 0)::bigint,
                   coalesce(sum(amount_due) filter (where days between 31 and 60), 0)::bigint,
                   coalesce(sum(amount_due) filter (where days between 61 and 90), 0)::bigint,
                   coalesce(sum(amount_due) filter (where days > 90), 0)::bigint,
                   sum(amount_due)::bigint
            from (
                select currency, amount_due, ceil(extract(epoch from $1 - due_at) / 86400) as days
                from billing.receivables
                where amount_due > 0 and status in ('finalized', 'overdue') and {TenantView.IsLive}
            ) owed
            group by currency order by currency
            """,
            row =>
            {
                var currency = Currency.Parse(row.GetString(0));
                return new ReceivablesAgeing(
                    currency, Owed(1), Owed(2), Owed(3), Owed(4), Owed(5), Owed(6));

                Money Owed(int column) => new(row.GetInt64(column), currency);
            },
            cancellation,
            Sql.P(clock.Now()));
        return TypedResults.Ok(new Page<ReceivablesAgeing>(currencies, NextCursor: null));
    }
}
