using System.Globalization;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// Numbers without gaps, per issuer and calendar year (UTC) of finalization. A number is taken in the transaction of the
/// invoice that bears it: if that rolls back, so does the counter, and the next invoice gets the number. A sandbox is the issuer of
/// its own invoices, so that they take no number of the live series.
/// </summary>
public static class InvoiceNumbers
{
    /// <summary>
    /// One for an invoice of each tenant, in their order. Take them last: other finalizations of the year wait from here to the commit.
    /// </summary>
    public static Answer<IReadOnlyList<string>> Next(RoundTrip together, IReadOnlyList<TenantId> tenants, int year) =>
        Next(together, tenants, "invoice_numbers", prefix: "", year);

    /// <param name="counters">The table of the series.</param>
    internal static Answer<IReadOnlyList<string>> Next(
        RoundTrip together, IReadOnlyList<TenantId> tenants, string counters, string prefix, int year) =>
        together.Rows(
            $"""
            with asked as (
                select case when data ->> 'clock' is null then $1 else id end as issuer, place
                from unnest($3) with ordinality given (tenant_id, place)
                join billing.tenants tenant on tenant.tenant_id = given.tenant_id and id = given.tenant_id
            ), counted as (
                insert into billing.{counters} as counter (issuer, year, last)
                select issuer, $2, count(*) from asked group by issuer order by issuer
                on conflict (issuer, year) do update set last = counter.last + excluded.last
                returning issuer, last
            )
            select issuer, (last + 1 - row_number() over (partition by issuer order by place desc))::int
            from asked join counted using (issuer) order by place
            """,
            row =>
            {
                var series = row.GetGuid(0) == TenantId.Operator.Value ? "" : "TEST-";
                return string.Create(CultureInfo.InvariantCulture, $"{series}{prefix}{year:0000}-{row.GetInt32(1):000000}");
            },
            Sql.P(TenantId.Operator.Value), Sql.P(year), Sql.P([.. tenants.Select(it => it.Value)]));
}
