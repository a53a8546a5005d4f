using System.Text.Json;
using NodaTime;
using Npgsql;
using Platform.Billing.Coupons;
using Platform.Billing.Taxes;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>By what the lines of a tenant's invoice are discounted and taxed.</summary>
/// <param name="Profile">Null for a tenant that is not taxed.</param>
/// <param name="Rates">Of the profile's jurisdiction.</param>
public sealed record InvoiceTerms(
    IReadOnlyList<RedeemedCoupon> Redeemed, TaxProfileTerms? Profile, IReadOnlyList<TaxRateView> Rates)
{
    /// <summary>As they are known to an invoice that is made now.</summary>
    /// <param name="connection">Its transaction sees the tenant's rows.</param>
    /// <param name="now">The tenant's time.</param>
    public static async Task<InvoiceTerms> Read(
        NpgsqlConnection connection, Documents documents, TenantId tenant, Instant now, CancellationToken cancellation)
    {
        var (redeemed, profile) = await OfTenant(connection, tenant, now, invoice: null, cancellation);
        return new(redeemed, profile, profile is null ? [] : await TaxRateView.Of(documents, profile.Jurisdiction, cancellation));
    }

    /// <summary>As they were known to an invoice when it was made.</summary>
    /// <param name="at">When that was.</param>
    /// <param name="rates">Those that it names.</param>
    public static async Task<InvoiceTerms> ReadKnownTo(
        NpgsqlConnection connection, Documents documents, TenantId tenant, InvoiceId invoice, Instant at, IEnumerable<TaxRateId> rates,
        CancellationToken cancellation)
    {
        var (redeemed, profile) = await OfTenant(connection, tenant, at, invoice, cancellation);
        return new(redeemed, profile, await TaxRateView.Of(documents, rates.Distinct(), cancellation));
    }

    private static async Task<(IReadOnlyList<RedeemedCoupon> Redeemed, TaxProfileTerms? Profile)> OfTenant(
        NpgsqlConnection connection, TenantId tenant, Instant at, InvoiceId? invoice, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            $"""
            select true, data from billing.{RedeemedCoupon.Table} where tenant_id = $1
            union all
            select false, data from billing.{TaxProfileView.Table} where tenant_id = $1
            """,
            Sql.P(tenant.Value));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var (redeemed, profile) = (new List<RedeemedCoupon>(), default(TaxProfileView));
        while (await reader.ReadAsync(cancellation))
        {
            var data = reader.GetFieldValue<byte[]>(1);
            if (reader.GetBoolean(0))
                redeemed.Add(JsonSerializer.Deserialize(data, Stored.Json<RedeemedCoupon>())!.KnownAt(at, invoice));
            else
                profile = JsonSerializer.Deserialize(data, Stored.Json<TaxProfileView>());
        }

        return (redeemed, profile?.KnownAt(at));
    }
}
