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
    /// <summary>Take it last: other finalizations of the year wait from here to the commit.</summary>
    public static Answer<string> Next(RoundTrip together, TenantId tenant, int year) =>
        Next(together, tenant, "invoice_numbers", prefix: "", year);

    /// <param name="counters">The table of the series.</param>
    internal static Answer<string> Next(RoundTrip together, TenantId tenant, string counters, string prefix, int year) =>
        together.Ask(
            $"""
            insert into billing.{counters} as counter (issuer, year, last)
            select case when data ->> 'clock' is null then $1 else tenant_id end, $2, 1
            from billing.tenants where tenant_id = $3 and id = $3
            on conflict (issuer, year) do update set last = counter.last + 1
            returning issuer, last
            """,
            async (row, cancellation) =>
            {
                await row.ReadAsync(cancellation);
                var series = row.GetGuid(0) == TenantId.Operator.Value ? "" : "TEST-";
                return string.Create(CultureInfo.InvariantCulture, $"{series}{prefix}{year:0000}-{row.GetInt32(1):000000}");
            },
            Sql.P(TenantId.Operator.Value), Sql.P(year), Sql.P(tenant.Value));
}
