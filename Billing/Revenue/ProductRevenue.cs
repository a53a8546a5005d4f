using Microsoft.AspNetCore.Http.HttpResults;
using Platform.Billing.Ledger;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>
/// What a product earned in a time and currency, of live tenants: what the books' revenue account says of it. Invoices count when they
/// are finalized, less discounts and the tax that prices contain; credit notes and voids take back when they happen.
/// </summary>
/// <param name="ProductId">Null for lines that name no product.</param>
/// <param name="Revenue">The sum of its kinds.</param>
public sealed record ProductRevenue(
    ProductId? ProductId, string? Key, string? DisplayName, Currency Currency, Money Revenue, IReadOnlyList<ProductRevenue.OfKind> Kinds)
{
    /// <param name="Kind">Of line, and what discounts and contained tax take off.</param>
    public sealed record OfKind(LineKind Kind, Money Amount);

    public static void Map(RouteGroupBuilder revenue) =>
        revenue.MapGet("/by-product", List).WithName("ListRevenueByProduct").ForOperators();

    private static async Task<Ok<Page<ProductRevenue>>> List(
        string? from, string? to, Currency? currency, BillingDatabase database, CancellationToken cancellation)
    {
        var (start, end) = (QueryInstant.Required(from, "from"), QueryInstant.Required(to, "to"));
        new FieldErrors().Require(start < end, "to", "to is after from.").ThrowIfAny();

        var rows = await database.ReadAllTenants(
            $"""
            select product_id, product.data ->> 'key', product.data ->> 'display_name', currency, kind, (-sum(amount))::bigint
            from billing.ledger_postings posting
            join billing.ledger_entries entry using (tenant_id, position)
            left join (select id, data from billing.products) product on product.id = product_id
            where at >= $1 and at < $2 and account = 'revenue' and ($3::text is null or currency = $3) and {TenantView.IsLive}
            group by product_id, product.data, currency, kind
            order by currency, product.data ->> 'key' nulls last, kind
            """,
            row => (
                Product: (
                    Id: row.IsDBNull(0) ? (ProductId?)null : new(row.GetGuid(0)), Key: row.Text(1), Name: row.Text(2),
                    Currency: Currency.Parse(row.GetString(3))),
                Kind: LedgerEntries.KindNamed(row.GetString(4))!.Value,
                Amount: row.GetInt64(5)),
            cancellation,
            Sql.P(start), Sql.P(end), Sql.Optional(currency?.Code));
        var products = rows.GroupBy(row => row.Product, row => new OfKind(row.Kind, new(row.Amount, row.Product.Currency)));
        return TypedResults.Ok(new Page<ProductRevenue>(
            [
                .. products.Select(of => new ProductRevenue(
                    of.Key.Id, of.Key.Key, of.Key.Name, of.Key.Currency,
                    of.Aggregate(Money.Zero(of.Key.Currency), (sum, each) => sum + each.Amount), [.. of])),
            ],
            NextCursor: null));
    }
}
