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
    /// <summary>What a tenant redeemed and how it is taxed, whenever that was.</summary>
    public sealed record Records(IReadOnlyList<RedeemedCoupon> Redeemed, TaxProfileView? Profile);

    /// <summary>As they are known to an invoice that is made now.</summary>
    /// <param name="connection">Its transaction sees the tenant's rows.</param>
    /// <param name="now">The tenant's time.</param>
    public static async Task<InvoiceTerms> Read(
        NpgsqlConnection connection, Documents documents, TenantId tenant, Instant now, CancellationToken cancellation) =>
        await KnownAt(now, await OfTenant(connection, tenant, cancellation), documents, cancellation);

    /// <summary>The same of records that were read already.</summary>
    public static async Task<InvoiceTerms> KnownAt(
        Instant now, Records records, Documents documents, CancellationToken cancellation)
    {
        var profile = records.Profile?.KnownAt(now);
        return new(
            [.. records.Redeemed.Select(coupon => coupon.KnownAt(now, invoice: null))], profile,
            profile is null ? [] : await TaxRateView.Of(documents, profile.Jurisdiction, cancellation));
    }

    /// <summary>As they were known to an invoice when it was made.</summary>
    /// <param name="at">When that was.</param>
    /// <param name="rates">Those that it names.</param>
    public static async Task<InvoiceTerms> ReadKnownTo(
        NpgsqlConnection connection, Documents documents, TenantId tenant, InvoiceId invoice, Instant at, IEnumerable<TaxRateId> rates,
        CancellationToken cancellation)
    {
        var records = await OfTenant(connection, tenant, cancellation);
        return new(
            [.. records.Redeemed.Select(coupon => coupon.KnownAt(at, invoice))], records.Profile?.KnownAt(at),
            await TaxRateView.Of(documents, rates.Distinct(), cancellation));
    }

    public static Answer<Records> OfTenant(RoundTrip together, TenantId tenant) => together.Ask(
        $"""
        select true, data from billing.{RedeemedCoupon.Table} where tenant_id = $1
        union all
        select false, data from billing.{TaxProfileView.Table} where tenant_id = $1
        """,
        async (row, cancellation) =>
        {
            var (redeemed, profile) = (new List<RedeemedCoupon>(), default(TaxProfileView));
            while (await row.ReadAsync(cancellation))
            {
                var data = row.GetFieldValue<byte[]>(1);
                if (row.GetBoolean(0))
                    redeemed.Add(JsonSerializer.Deserialize(data, Stored.Json<RedeemedCoupon>())!);
                else
                    profile = JsonSerializer.Deserialize(data, Stored.Json<TaxProfileView>());
            }

            return new Records(redeemed, profile);
        },
        Sql.P(tenant.Value));

    private static async Task<Records> OfTenant(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        var records = OfTenant(together, tenant);
        await together.Send(cancellation);
        return records.Value;
    }
}
