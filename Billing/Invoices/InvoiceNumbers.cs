using System.Globalization;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// Numbers without gaps, per issuer and calendar year (UTC) of finalization. A number is taken in the transaction of the
/// invoice that bears it: if that rolls back, so does the counter, and the next invoice gets the number.
/// </summary>
public static class InvoiceNumbers
{
    /// <summary>Take it last: other finalizations of the year wait from here to the commit.</summary>
    public static async Task<string> Next(EventTransaction transaction, int year, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            insert into billing.invoice_numbers as counter (issuer, year, last) values ($1, $2, 1)
            on conflict (issuer, year) do update set last = counter.last + 1
            returning last
            """,
            Sql.P(TenantId.Operator.Value), Sql.P(year));
        var number = (int)(await command.ExecuteScalarAsync(cancellation))!;
        return string.Create(CultureInfo.InvariantCulture, $"{year:0000}-{number:000000}");
    }
}
