using NodaTime;
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

    /// <param name="plan">When the plan ran whose meters these are: it bills that time alone, and its tiers begin with it.</param>
    /// <param name="period">The period to close.</param>
    /// <param name="through">The newest position to consider.</param>
    public static async Task<IReadOnlyList<MeteredQuantity>> Read(
        NpgsqlConnection connection, TenantId tenant, SubscriptionId id, Subscription subscription, BillingPeriod plan,
        BillingPeriod period, long through, IReadOnlyList<MeterView> meters, CancellationToken cancellation)
    {
        var zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
        var running = Whole(period.Start);
        var runningBilledFrom = await BilledFrom(running);
        var quantities = new List<MeteredQuantity>();
        foreach (var meter in meters)
        {
            // Every quantity stands on what its period by the calendar was billed before, late reports before the running use.
            var billed = new Dictionary<BillingPeriod, decimal?>();
            foreach (var (window, quantity) in await Late(meter))
            {
                var already = await AlreadyBilled(meter, Whole(window.Start));
                quantities.Add(new(meter.Key, meter.Unit, quantity, window, Late: true, already));
                billed[Whole(window.Start)] = (already ?? 0) + quantity;
            }

            if (plan.Contains(period.Start))
            {
                quantities.Add(new(
                    meter.Key, meter.Unit, await Quantity(meter, period, through), period, Late: false,
                    await AlreadyBilled(meter, running)));
            }

            async Task<decimal?> AlreadyBilled(MeterView of, BillingPeriod whole)
            {
                if (billed.TryGetValue(whole, out var known))
                    return known;
                var from = whole == running ? runningBilledFrom : await BilledFrom(whole);
                return from is { } start
                    ? await Quantity(of, new(start, Instant.Min(whole.End, period.Start)), subscription.UsageThrough)
                    : null;
            }
        }

        return quantities;

        // The part of the period by the calendar in which the plan ran.
        BillingPeriod Whole(Instant at)
        {
            var calendar = BillingPeriods.Containing(at, subscription.BillingAnchorDay, zone);
            return new(Instant.Max(calendar.Start, plan.Start), Instant.Min(calendar.End, plan.End));
        }

        // Closed periods follow each other without a gap: those of one period by the calendar begin here.
        async Task<Instant?> BilledFrom(BillingPeriod whole)
        {
            await using var command = connection.Command(
                """
                select starts_at from billing.billing_periods
                where tenant_id = $1 and subscription_id = $2 and number < $3 and starts_at >= $4 and starts_at < $5
                order by starts_at limit 1
                """,
                Sql.P(tenant.Value), Sql.P(id.Value), Sql.P(subscription.PeriodNumber), Sql.P(whole.Start), Sql.P(whole.End));
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            return await reader.ReadAsync(cancellation) ? reader.Instant(0) : null;
        }

        async Task<decimal> Quantity(MeterView meter, BillingPeriod window, long position)
        {
            await using var onTime = connection.Command(
                $"""
                select {Value} from billing.usage_entries
                where tenant_id = $1 and type = $3 and time >= $4 and time < $5 and position <= $6
                """,
                Sql.P(tenant.Value), Sql.Optional(meter.ValueProperty), Sql.P(meter.EventType), Sql.P(window.Start),
                Sql.P(window.End), Sql.P(position));
            return Exact((string)(await onTime.ExecuteScalarAsync(cancellation))!);
        }

        async Task<List<(BillingPeriod Window, decimal Quantity)>> Late(MeterView meter)
        {
            await using var late = connection.Command(
                $"""
                select {Value}, earlier.starts_at, earlier.ends_at
                from billing.usage_entries entry
                join billing.billing_periods earlier
                  on earlier.tenant_id = $1 and earlier.subscription_id = $6 and earlier.number < $7
                 and time >= earlier.starts_at and time < earlier.ends_at
                 and earlier.starts_at >= $9 and earlier.starts_at < $10
                where entry.tenant_id = $1 and type = $3 and position > $4 and position <= $5 and time < $8
                group by earlier.starts_at, earlier.ends_at
                order by earlier.starts_at
                """,
                Sql.P(tenant.Value), Sql.Optional(meter.ValueProperty), Sql.P(meter.EventType), Sql.P(subscription.UsageThrough),
                Sql.P(through), Sql.P(id.Value), Sql.P(subscription.PeriodNumber), Sql.P(period.Start), Sql.P(plan.Start),
                Sql.P(plan.End));
            await using var reader = await late.ExecuteReaderAsync(cancellation);
            var windows = new List<(BillingPeriod, decimal)>();
            while (await reader.ReadAsync(cancellation))
                windows.Add((new(reader.Instant(1), reader.Instant(2)), Exact(reader.GetString(0))));
            return windows;
        }
    }

    private static decimal Exact(string text) =>
        Decimals.TryParse(text, out var exact) ? exact : throw new OverflowException("A sum of usage has more than 28 digits.");
}
