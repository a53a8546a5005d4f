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
    public static Task<string> Next(EventTransaction transaction, int year, CancellationToken cancellation) =>
        Next(transaction, "invoice_numbers", prefix: "", year, cancellation);

    /// <param name="counters">The table of the series.</param>
    internal static async Task<string> Next(
        EventTransaction transaction, string counters, string prefix, int year, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            $"""
            insert into billing.{counters} as counter (issuer, year, last)
            select case when data ->> 'clock' is null then $1 else tenant_id end, $2, 1
            from billing.tenants where tenant_id = $3 and id = $3
            on conflict (issuer, year) do update set last = counter.last + 1
            returning issuer, last
            """,
            Sql.P(TenantId.Operator.Value), Sql.P(year), Sql.P(transaction.TenantId));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var series = reader.GetGuid(0) == TenantId.Operator.Value ? "" : "TEST-";
        return string.Create(CultureInfo.InvariantCulture, $"{series}{prefix}{year:0000}-{reader.GetInt32(1):000000}");
    }
}
