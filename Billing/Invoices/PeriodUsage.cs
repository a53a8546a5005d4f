using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Usage;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>A meter as a charge reads it.</summary>
/// <param name="Timed">The price, where it needs to know when it was used.</param>
public sealed record BilledMeter(string Key, MeterVersionId Version, MeterDefinition Definition, PriceModel? Timed = null)
{
    /// <summary>What slices of a period measured and owe adds up to what the period does.</summary>
    public bool AddsUp => Definition.IsAdditive && Timed is null;

    /// <summary>Where parts of a time begin in each of which one price holds.</summary>
    public IReadOnlyList<Instant> Parts(BillingPeriod time, DateTimeZone zone) => Timed switch
    {
        WindowedCommitmentPrice price => [.. CommitmentWindows.Of(price, time, zone).Select(part => part.Time.Start)],
        BookPrice price => [.. price.Prices.Cut(time).Select(part => part.Start)],
        _ => [time.Start],
    };
}

/// <summary>
/// What the ledger says about one period of one subscription, so that every usage event is on exactly one invoice: usage of the
/// period known now is on this one; what the ledger learned of an earlier period after the invoice before (positions above
/// <c>UsageThrough</c> of the last close), late events and corrections alike, is on this one as the difference between what the
/// earlier period measures now and what it measured then. Read in the tenant's lane, so that no writer is half done.
/// </summary>
/// <remarks>
/// Sums and counts of slices add up, so each slice of a calendar's period is measured by itself. Other aggregations, and use whose
/// price depends on its time, are measured over all that is billed of the calendar's period: a slice bills what it grew by, late usage
/// what it changed by. Either way the lines of a period sum to what one invoice over it would have billed.
/// </remarks>
public static class PeriodUsage
{
    /// <summary>The newest position of the tenant's ledger, events and corrections; 0 for an empty one.</summary>
    public static async Task<long> NewestPosition(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            "select coalesce(max(position), 0) from billing.usage_heads where tenant_id = $1", Sql.P(tenant.Value));
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
            var billed = new Dictionary<BillingPeriod, Measured?>();
            foreach (var window in await Reopened(meter))
            {
                var whole = Whole(window.Start);
                var already = await AlreadyBilled(meter, whole);
                var now = await Measure(meter, window, through);
                var late = now.Quantity - (await Measure(meter, window, subscription.UsageThrough)).Quantity;
                quantities.Add(Metered(meter, late, window, isLate: true, now, already));
                billed[whole] = meter.AddsUp ? Measured.Units((already?.Quantity ?? 0) + late) : now;
            }

            if (plan.Contains(period.Start))
            {
                var already = await AlreadyBilled(meter, running);
                var soFar = await Measure(
                    meter, meter.AddsUp ? period : new(runningBilledFrom ?? period.Start, period.End), through);
                var used = meter.AddsUp ? soFar.Quantity : soFar.Quantity - (already?.Quantity ?? 0);
                quantities.Add(Metered(meter, used, period, isLate: false, soFar, already));
            }

            async Task<Measured?> AlreadyBilled(BilledMeter of, BillingPeriod whole)
            {
                if (billed.TryGetValue(whole, out var known))
                    return known;
                var from = whole == running ? runningBilledFrom : await BilledFrom(whole);
                return from is { } start
                    ? await Measure(of, BilledPart(start, whole), subscription.UsageThrough)
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

        // One query, however many prices hold in that time.
        async Task<Measured> Measure(BilledMeter meter, BillingPeriod time, long position)
        {
            var parts = meter.Parts(time, zone);
            var cells = await Measurement.Quantities(
                connection, new(tenant, meter.Definition, [.. parts, time.End], position) { Version = meter.Version }, cancellation);
            var uses = cells.Where(cell => cell.Window is not null).Select(cell => new TimedUse(parts[cell.Window!.Value - 1], cell.Quantity));
            return Measured.Units(cells.Single(cell => cell.Window is null).Quantity) with
            {
                Windows = meter.Timed is null ? null : new(time, zone, [.. uses]),
            };
        }

        // Closed windows of the plan that the ledger learned something about. A gauge's level holds on into all windows after it.
        async Task<IReadOnlyList<BillingPeriod>> Reopened(BilledMeter meter)
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
                Sql.P(tenant.Value), Sql.P(meter.Definition.EventType), Sql.P(subscription.UsageThrough), Sql.P(through), Sql.P(period.Start),
                Sql.P(id.Value), Sql.P(subscription.PeriodNumber),
                new NpgsqlParameter<bool> { TypedValue = meter.Definition.Aggregation is Aggregation.WeightedSum },
                Sql.P(plan.Start), Sql.P(plan.End));
            var slices = new List<BillingPeriod>();
            await using (var reader = await command.ExecuteReaderAsync(cancellation))
            {
                while (await reader.ReadAsync(cancellation))
                    slices.Add(new(reader.Instant(0), reader.Instant(1)));
            }

            if (meter.AddsUp)
                return slices;
            var parts = new List<BillingPeriod>();
            foreach (var whole in slices.Select(slice => Whole(slice.Start)).Distinct())
                parts.Add(BilledPart((await BilledFrom(whole))!.Value, whole));
            return parts;
        }
    }

    private static MeteredQuantity Metered(
        BilledMeter meter, decimal quantity, BillingPeriod window, bool isLate, Measured measured, Measured? billed) =>
        new(meter.Key, meter.Definition.Unit, Decimals.Canonical(quantity), window, isLate, billed?.Quantity)
        {
            Windows = measured.Windows,
            WindowsBilled = billed?.Windows,
        };
}
