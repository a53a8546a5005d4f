using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>
/// What the ledger says about one period of one subscription, so that every usage event is on exactly one invoice: usage of the
/// period known now is on this one; usage of an earlier period is on this one if the ledger learned of it after the invoice before
/// (positions above <c>UsageThrough</c> of the last close). Corrections count likewise, as differences at their own positions. Read in the tenant's lane, so that no writer is half done.
/// </summary>
public static class PeriodUsage
{
    // A member that is missing or no plain decimal counts as nothing: it was reported before the meter existed.
    private const string Value =
        """
        trim_scale(coalesce(case when $2 is null then sum(sign)::numeric else sum(
            sign * case when data ->> $2 ~ '^[0-9]+([.][0-9]+)?$' then (data ->> $2)::numeric end) end, 0))::text
        """;

    /// <summary>The newest position of the tenant's ledger; 0 for an empty one.</summary>
    public static async Task<long> NewestPosition(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            """
            select greatest(
                (select coalesce(max(position), 0) from billing.usage_events where tenant_id = $1),
                (select coalesce(max(position), 0) from billing.usage_corrections where tenant_id = $1))
            """,
            Sql.P(tenant.Value));
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <param name="period">The period to close.</param>
    /// <param name="through">The newest position to consider.</param>
    public static async Task<IReadOnlyList<MeteredQuantity>> Read(
        NpgsqlConnection connection, TenantId tenant, SubscriptionId id, Subscription subscription, BillingPeriod period,
        long through, IReadOnlyList<MeterView> meters, CancellationToken cancellation)
    {
        var quantities = new List<MeteredQuantity>();
        foreach (var meter in meters)
        {
            await using var onTime = connection.Command(
                $"""
                select {Value} from billing.usage_entries
                where tenant_id = $1 and type = $3 and time >= $4 and time < $5 and position <= $6
                """,
                Sql.P(tenant.Value), Sql.Optional(meter.ValueProperty), Sql.P(meter.EventType), Sql.P(period.Start),
                Sql.P(period.End), Sql.P(through));
            quantities.Add(new(
                meter.Key, meter.Unit, Exact((string)(await onTime.ExecuteScalarAsync(cancellation))!), period, Late: false));

            await using var late = connection.Command(
                $"""
                select {Value}, earlier.starts_at, earlier.ends_at
                from billing.usage_entries entry
                join billing.billing_periods earlier
                  on earlier.tenant_id = $1 and earlier.subscription_id = $6 and earlier.number < $7
                 and time >= earlier.starts_at and time < earlier.ends_at
                where entry.tenant_id = $1 and type = $3 and position > $4 and position <= $5 and time < $8
                group by earlier.starts_at, earlier.ends_at
                """,
                Sql.P(tenant.Value), Sql.Optional(meter.ValueProperty), Sql.P(meter.EventType), Sql.P(subscription.UsageThrough),
                Sql.P(through), Sql.P(id.Value), Sql.P(subscription.PeriodNumber), Sql.P(period.Start));
            await using var reader = await late.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
            {
                quantities.Add(new(
                    meter.Key, meter.Unit, Exact(reader.GetString(0)), new(reader.Instant(1), reader.Instant(2)), Late: true));
            }
        }

        return quantities;
    }

    private static decimal Exact(string text) =>
        Decimals.TryParse(text, out var exact) ? exact : throw new OverflowException("A sum of usage has more than 28 digits.");
}
