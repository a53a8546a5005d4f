using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Usage;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>A meter as a charge reads it.</summary>
public sealed record BilledMeter(string Key, MeterVersionId Version, MeterDefinition Definition);

/// <summary>
/// What the ledger says about one period of one subscription, so that every usage event is on exactly one invoice: usage of the
/// period known now is on this one; what the ledger learned of an earlier period after the invoice before (positions above
/// <c>UsageThrough</c> of the last close), late events and corrections alike, is on this one as the difference between what the
/// earlier period measures now and what it measured then. Read in the tenant's lane, so that no writer is half done.
/// </summary>
/// <remarks>
/// Sums and counts of slices add up, so each slice of a calendar's period is measured by itself. Other aggregations are measured
/// over all that is billed of the calendar's period: a slice bills what the aggregate grew by, late usage what it changed by. Either
/// way the lines of a period sum to what one invoice over it would have billed.
/// </remarks>
public static class PeriodUsage
{
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
    /// <param name="span">The plan, with its billing periods.</param>
    /// <param name="period">The period to close.</param>
    /// <param name="through">The newest position to consider.</param>
    public static async Task<IReadOnlyList<MeteredQuantity>> Read(
        NpgsqlConnection connection, TenantId tenant, SubscriptionId id, Subscription subscription, BillingPeriod plan,
        PlanSpan span, BillingPeriod period, long through, IReadOnlyList<BilledMeter> meters, CancellationToken cancellation)
    {
        var zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
        var running = Whole(period.Start);
        var runningBilledFrom = await BilledFrom(running);
        var quantities = new List<MeteredQuantity>();
        foreach (var meter in meters)
        {
            // Every quantity stands on what its period by the calendar was billed before, late reports before the running use.
            var billed = new Dictionary<BillingPeriod, decimal?>();
            foreach (var window in await Reopened(meter.Definition))
            {
                var late = await Quantity(meter, window, through) - await Quantity(meter, window, subscription.UsageThrough);
                var already = await AlreadyBilled(meter, Whole(window.Start));
                quantities.Add(new(meter.Key, meter.Definition.Unit, late, window, Late: true, already));
                billed[Whole(window.Start)] = (already ?? 0) + late;
            }

            if (plan.Contains(period.Start))
            {
                quantities.Add(new(
                    meter.Key, meter.Definition.Unit, await Running(meter), period, Late: false, await AlreadyBilled(meter, running)));
            }

            async Task<decimal?> AlreadyBilled(BilledMeter of, BillingPeriod whole)
            {
                if (billed.TryGetValue(whole, out var known))
                    return known;
                var from = whole == running ? runningBilledFrom : await BilledFrom(whole);
                return from is { } start
                    ? await Quantity(of, BilledPart(start, whole), subscription.UsageThrough)
                    : null;
            }
        }

        return quantities;

        // The part of the period by the calendar in which the plan ran.
        BillingPeriod Whole(Instant at)
        {
            if (span.Trial)
                return plan;
            var calendar = BillingPeriods.Containing(at, span.Cycle, zone);
            return new(Instant.Max(calendar.Start, plan.Start), Instant.Min(calendar.End, plan.End));
        }

        // Closed periods follow each other without a gap: those of one period by the calendar begin here.
        async Task<Instant?> BilledFrom(BillingPeriod whole)
        {
            await using var command = connection.Command(
                """
                select starts_at from billing.billing_periods
                where tenant_id = $1 and subscription_id = $2 and number < $3 and starts_at >= $4 and starts_at < $5 and starts_at < ends_at
                order by starts_at limit 1
                """,
                Sql.P(tenant.Value), Sql.P(id.Value), Sql.P(subscription.PeriodNumber), Sql.P(whole.Start), Sql.P(whole.End));
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            return await reader.ReadAsync(cancellation) ? reader.Instant(0) : null;
        }

        BillingPeriod BilledPart(Instant billedFrom, BillingPeriod whole) => new(billedFrom, Instant.Min(whole.End, period.Start));

        Task<decimal> Quantity(BilledMeter meter, BillingPeriod window, long position) => Measurement.Total(
            connection, new(tenant, meter.Definition, [window.Start, window.End], position) { Version = meter.Version }, cancellation);

        async Task<decimal> Running(BilledMeter meter) => meter.Definition.IsAdditive || runningBilledFrom is not { } start
            ? await Quantity(meter, period, through)
            : await Quantity(meter, new(start, period.End), through) - await Quantity(meter, BilledPart(start, running), through);

        // Closed windows of the plan that the ledger learned something about. A gauge's level holds on into all windows after it.
        async Task<IReadOnlyList<BillingPeriod>> Reopened(MeterDefinition meter)
        {
            await using var command = connection.Command(
                """
                with late as materialized (
                    select distinct time from billing.usage_entries
                    where tenant_id = $1 and type = $2 and position > $3 and position <= $4 and time < $5)
                select starts_at, ends_at from billing.billing_periods earlier
                where tenant_id = $1 and subscription_id = $6 and number < $7 and starts_at >= $9 and starts_at < $10 and starts_at < ends_at
                  and exists (select from late where time < earlier.ends_at and ($8 or time >= earlier.starts_at))
                order by starts_at
                """,
                Sql.P(tenant.Value), Sql.P(meter.EventType), Sql.P(subscription.UsageThrough), Sql.P(through), Sql.P(period.Start),
                Sql.P(id.Value), Sql.P(subscription.PeriodNumber),
                new NpgsqlParameter<bool> { TypedValue = meter.Aggregation is Aggregation.WeightedSum },
                Sql.P(plan.Start), Sql.P(plan.End));
            var slices = new List<BillingPeriod>();
            await using (var reader = await command.ExecuteReaderAsync(cancellation))
            {
                while (await reader.ReadAsync(cancellation))
                    slices.Add(new(reader.Instant(0), reader.Instant(1)));
            }

            if (meter.IsAdditive)
                return slices;
            var parts = new List<BillingPeriod>();
            foreach (var whole in slices.Select(slice => Whole(slice.Start)).Distinct())
                parts.Add(BilledPart((await BilledFrom(whole))!.Value, whole));
            return parts;
        }
    }
}
