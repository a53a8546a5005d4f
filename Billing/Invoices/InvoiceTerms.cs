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

    // A coupon or a profile each.
    private static readonly SharedQuery<TenantId, object> ofTenants = new(
        $"""
        with asked as materialized (select * from unnest($1) with ordinality asked (tenant_id, place))
        select place, true, data from asked join billing.{RedeemedCoupon.Table} using (tenant_id)
        union all
        select place, false, data from asked join billing.{TaxProfileView.Table} using (tenant_id)
        """,
        tenants => [Sql.P([.. tenants.Select(it => it.Value)])],
        row => row.GetBoolean(1)
            ? JsonSerializer.Deserialize(row.GetFieldValue<byte[]>(2), Stored.Json<RedeemedCoupon>())!
            : JsonSerializer.Deserialize(row.GetFieldValue<byte[]>(2), Stored.Json<TaxProfileView>())!);

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
        ofTenants, tenant, rows => new Records([.. rows.OfType<RedeemedCoupon>()], rows.OfType<TaxProfileView>().SingleOrDefault()));

    private static async Task<Records> OfTenant(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        var records = OfTenant(together, tenant);
        await together.Send(cancellation);
        return records.Value;
    }
}
