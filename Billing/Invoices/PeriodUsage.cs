using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>A meter as a charge reads it.</summary>
/// <param name="Timed">The price, where it needs to know when it was used.</param>
/// <param name="Events">What the price reads of each event, where it needs to know them.</param>
public sealed record BilledMeter(
    string Key, MeterVersionId Version, MeterDefinition Definition, PriceModel? Timed = null, EventPrices? Events = null)
{
    /// <summary>What slices of a period measured and owe adds up to what the period does.</summary>
    public bool AddsUp => Definition.IsAdditive && Timed is null && Events is null;

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
/// price depends on its time or on single events, are measured over all that is billed of the calendar's period: a slice bills what it
/// grew by, late usage what it changed by. Either way the lines of a period sum to what one invoice over it would have billed.
/// </remarks>
public static class PeriodUsage
{
    /// <summary>The newest position of the tenant's ledger, events and corrections; 0 for an empty one.</summary>
    public static async Task<long> NewestPosition(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        var marks = UsageWatermark.Of(together, tenant);
        await together.Send(cancellation);
        return UsageWatermark.NewestOf(marks.Value);
    }

    /// <param name="together">Sent with what it asks.</param>
    /// <param name="plan">When the plan ran whose meters these are: it bills that time alone, and its tiers begin with it.</param>
    /// <param name="span">The plan, with its billing periods.</param>
    /// <param name="period">The period to close.</param>
    /// <param name="through">The newest position to consider.</param>
    public static async Task<IReadOnlyList<MeteredQuantity>> Read(
        RoundTrip together, TenantId tenant, SubscriptionId id, Subscription subscription, BillingPeriod plan, PlanSpan span,
        BillingPeriod period, long through, IReadOnlyList<BilledMeter> meters, CancellationToken cancellation)
    {
        var zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
        var running = Whole(period.Start);
        var runs = plan.Contains(period.Start);

        // 1 where this period's calendar was billed from, and what the ledger learned of closed windows
        var (from, late, rolledUp) = (BilledFrom(running), Late(), Measurement.RolledUp(together, tenant));
        await together.Send(cancellation);
        var runningBilledFrom = from.Value;

        // 2 the use of the running period, of all meters at once
        var measured = new Dictionary<(string Meter, BillingPeriod Time, long Position), Measured>();
        if (runs)
            await MeasureAll([.. meters.SelectMany(RunningUse)]);

        // 3 what each meter bills
        var quantities = new List<MeteredQuantity>();
        var slices = late.Value.ToLookup(it => it.Meter, it => it.Slice);
        foreach (var (place, meter) in meters.Index())
        {
            // Every quantity stands on what its period by the calendar was billed before, late reports before the running use.
            var billed = new Dictionary<BillingPeriod, Measured?>();
            foreach (var window in await Reopened(meter, [.. slices[place]]))
            {
                var whole = Whole(window.Start);
                var already = await AlreadyBilled(meter, whole);
                var now = await Measure(meter, window, through);
                var grown = now.Quantity - (await Measure(meter, window, subscription.UsageThrough)).Quantity;
                quantities.Add(Metered(meter, grown, window, isLate: true, now, already));
                billed[whole] = meter.AddsUp ? Measured.Units((already?.Quantity ?? 0) + grown) : now;
            }

            if (runs)
            {
                var already = await AlreadyBilled(meter, running);
                var soFar = await Measure(meter, Running(meter), through);
                var used = meter.AddsUp ? soFar.Quantity : soFar.Quantity - (already?.Quantity ?? 0);
                quantities.Add(Metered(meter, used, period, isLate: false, soFar, already));
            }

            async Task<Measured?> AlreadyBilled(BilledMeter of, BillingPeriod whole)
            {
                if (billed.TryGetValue(whole, out var known))
                    return known;
                return (whole == running ? runningBilledFrom : await BilledFromNow(whole)) is { } start
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

        BillingPeriod Running(BilledMeter meter) => meter.AddsUp ? period : new(runningBilledFrom ?? period.Start, period.End);

        IEnumerable<(BilledMeter Meter, BillingPeriod Time, long Position)> RunningUse(BilledMeter meter)
        {
            yield return (meter, Running(meter), through);
            if (runningBilledFrom is { } start)
                yield return (meter, BilledPart(start, running), subscription.UsageThrough);
        }

        // Closed periods follow each other without a gap: those of one period by the calendar begin here.
        Answer<Instant?> BilledFrom(BillingPeriod whole) => together.Ask<Instant?>(
            """
            select starts_at from billing.billing_periods
            where tenant_id = $1 and subscription_id = $2 and number < $3 and starts_at >= $4 and starts_at < $5 and starts_at < ends_at
            order by starts_at limit 1
            """,
            async (row, token) => await row.ReadAsync(token) ? row.Instant(0) : null,
            Sql.P(tenant.Value), Sql.P(id.Value), Sql.P(subscription.PeriodNumber), Sql.P(whole.Start), Sql.P(whole.End));

        async Task<Instant?> BilledFromNow(BillingPeriod whole)
        {
            var answer = BilledFrom(whole);
            await together.Send(cancellation);
            return answer.Value;
        }

        BillingPeriod BilledPart(Instant billedFrom, BillingPeriod whole) => new(billedFrom, Instant.Min(whole.End, period.Start));

        async Task<Measured> Measure(BilledMeter meter, BillingPeriod time, long position)
        {
            if (!measured.ContainsKey((meter.Key, time, position)))
                await MeasureAll([(meter, time, position)]);
            return measured[(meter.Key, time, position)];
        }

        // One query for each, however many prices hold in that time, and one more where the price reads events.
        async Task MeasureAll(IReadOnlyList<(BilledMeter Meter, BillingPeriod Time, long Position)> wanted)
        {
            // Many events take long to read, and broken off they would take as long the next time.
            var reading = new RoundTrip(together.Connection) { TimeoutSeconds = 0 };
            var asked = wanted.Select(it =>
            {
                var scope = new MeasuredScope(tenant, it.Meter.Definition, [.. it.Meter.Parts(it.Time, zone), it.Time.End], it.Position)
                {
                    Version = it.Meter.Version,
                };
                return (it.Meter, it.Time, it.Position, scope.Bounds, Cells: Measurement.Quantities(reading, scope, rolledUp.Value),
                    Tallied: it.Meter.Events is { } events ? Measurement.Tally(reading, scope, events) : null);
            }).ToList();
            await reading.Send(cancellation);
            foreach (var (meter, time, position, bounds, cells, tallied) in asked)
            {
                var uses = cells.Value.Where(cell => cell.Window is not null)
                    .Select(cell => new TimedUse(bounds[cell.Window!.Value - 1], cell.Quantity));
                measured[(meter.Key, time, position)] = Measured.Units(cells.Value.Single(cell => cell.Window is null).Quantity) with
                {
                    Windows = meter.Timed is null ? null : new(time, zone, [.. uses]),
                    Tallied = tallied?.Value,
                };
            }
        }

        // Closed windows of the plan that the ledger learned something about, by the place of the meter that reads it. A gauge's level holds
        // on into all windows after it.
        Answer<IReadOnlyList<(int Meter, BillingPeriod Slice)>> Late() => together.Rows(
            """
            with late as materialized (
                select distinct type, time from billing.usage_entries
                where tenant_id = $1 and type = any ($2) and position > $3 and position <= $4 and time < $5)
            select place::int - 1, starts_at, ends_at
            from unnest($2, $8) with ordinality meter (type, gauge, place), billing.billing_periods earlier
            where tenant_id = $1 and subscription_id = $6 and number < $7 and starts_at >= $9 and starts_at < $10 and starts_at < ends_at
              and exists (
                select from late where late.type = meter.type and time < earlier.ends_at and (gauge or time >= earlier.starts_at))
            order by starts_at
            """,
            row => (row.GetInt32(0), new BillingPeriod(row.Instant(1), row.Instant(2))),
            Sql.P(tenant.Value), Sql.P([.. meters.Select(it => it.Definition.EventType)]), Sql.P(subscription.UsageThrough),
            Sql.P(through), Sql.P(period.Start), Sql.P(id.Value), Sql.P(subscription.PeriodNumber),
            new NpgsqlParameter<bool[]> { TypedValue = [.. meters.Select(it => it.Definition.Aggregation is Aggregation.WeightedSum)] },
            Sql.P(plan.Start), Sql.P(plan.End));

        // What of them is measured: each slice by itself, or all that is billed of the period by the calendar.
        async Task<IReadOnlyList<BillingPeriod>> Reopened(BilledMeter meter, IReadOnlyList<BillingPeriod> slices)
        {
            if (meter.AddsUp)
                return slices;
            var parts = new List<BillingPeriod>();
            foreach (var whole in slices.Select(slice => Whole(slice.Start)).Distinct())
                parts.Add(BilledPart((await BilledFromNow(whole))!.Value, whole));
            return parts;
        }
    }

    private static MeteredQuantity Metered(
        BilledMeter meter, decimal quantity, BillingPeriod window, bool isLate, Measured measured, Measured? billed) =>
        new(meter.Key, meter.Definition.Unit, Decimals.Canonical(quantity), window, isLate, billed?.Quantity)
        {
            Windows = measured.Windows,
            WindowsBilled = billed?.Windows,
            Tallied = measured.Tallied,
            TalliedBilled = billed?.Tallied,
        };
}
