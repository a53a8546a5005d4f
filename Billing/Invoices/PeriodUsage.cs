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
/// <param name="plan">When the plan ran whose meters these are: it bills that time alone, and its tiers begin with it.</param>
/// <param name="span">The plan, with its billing periods.</param>
/// <param name="period">The period to close.</param>
/// <param name="through">The newest position to consider.</param>
public sealed class PeriodUsage(
    TenantId tenant, SubscriptionId id, Subscription subscription, BillingPeriod plan, PlanSpan span, BillingPeriod period, long through,
    IReadOnlyList<BilledMeter> meters)
{
    private sealed record Asked(
        Answer<Instant?> BilledFrom, Answer<IReadOnlyList<LateSlice>> Late, Answer<HashSet<string>> RolledUp);

    /// <param name="Within">Whether something was learned of the slice itself, and not only of time before it.</param>
    private sealed record LateSlice(BillingPeriod Slice, string Type, bool Within);

    private static readonly SharedQuery<(TenantId Tenant, SubscriptionId Id, int Number, BillingPeriod Whole), Instant> firstBilled = new(
        """
        select place, min(starts_at)
        from unnest($1, $2, $3, $4, $5) with ordinality asked (tenant_id, subscription_id, running, since, until, place)
        join billing.billing_periods using (tenant_id, subscription_id)
        where number < running and starts_at >= since and starts_at < until and starts_at < ends_at
        group by place
        """,
        asked =>
        [
            Sql.P([.. asked.Select(it => it.Tenant.Value)]), Sql.P([.. asked.Select(it => it.Id.Value)]),
            Sql.P([.. asked.Select(it => it.Number)]), Sql.P([.. asked.Select(it => it.Whole.Start)]),
            Sql.P([.. asked.Select(it => it.Whole.End)]),
        ],
        row => row.Instant(1));

    private static readonly SharedQuery<
        (TenantId Tenant, SubscriptionId Id, int Number, BillingPeriod Plan, long After, long Through, Instant Before),
        LateSlice> lateSlices = new(
        """
        with asked as materialized (
            select * from unnest($1, $2, $3, $4, $5, $6, $7, $8) with ordinality
                each (tenant_id, subscription_id, running, since, until, after, through, before, place)),
        late as materialized (
            select distinct place, type, time from asked
            cross join lateral (
                select type, time from billing.usage_entries entry
                where entry.tenant_id = asked.tenant_id and position > after and position <= through and time < before offset 0) entry)
        select place, starts_at, ends_at, type, bool_or(time >= starts_at)
        from asked join billing.billing_periods using (tenant_id, subscription_id) join late using (place)
        where number < running and starts_at >= since and starts_at < until and starts_at < ends_at and time < ends_at
        group by place, starts_at, ends_at, type order by starts_at
        """,
        asked =>
        [
            Sql.P([.. asked.Select(it => it.Tenant.Value)]), Sql.P([.. asked.Select(it => it.Id.Value)]),
            Sql.P([.. asked.Select(it => it.Number)]), Sql.P([.. asked.Select(it => it.Plan.Start)]),
            Sql.P([.. asked.Select(it => it.Plan.End)]), Sql.P([.. asked.Select(it => it.After)]),
            Sql.P([.. asked.Select(it => it.Through)]), Sql.P([.. asked.Select(it => it.Before)]),
        ],
        row => new(new(row.Instant(1), row.Instant(2)), row.GetString(3), row.GetBoolean(4)));

    private readonly DateTimeZone zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
    private readonly bool runs = plan.Contains(period.Start);
    private readonly Dictionary<(string Meter, BillingPeriod Time, long Position), Measured> measured = [];
    private IReadOnlyList<(BilledMeter Meter, Answer<decimal?> Sum)> sums = [];
    private Asked? asked;

    private BillingPeriod Calendar => Whole(period.Start);

    private Instant? RunningBilledFrom => asked!.BilledFrom.Value;

    /// <summary>The newest position of the tenant's ledger, events and corrections; 0 for an empty one.</summary>
    public static async Task<long> NewestPosition(NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        var together = new RoundTrip(connection);
        var marks = UsageWatermark.Of(together, tenant);
        await together.Send(cancellation);
        return UsageWatermark.NewestOf(marks.Value);
    }

    /// <summary>Where this period's calendar was billed from, what the ledger learned of closed windows, and the use of this one.</summary>
    public void Ask(RoundTrip together)
    {
        asked = new(
            BilledFrom(together, Calendar),
            together.Ask(
                lateSlices, (tenant, id, subscription.PeriodNumber, plan, subscription.UsageThrough, through, period.Start)),
            Measurement.RolledUp(together, tenant));
        if (runs)
        {
            sums =
            [
                .. meters.Where(meter => meter.AddsUp && Hours.IsWhole(period.Start) && Hours.IsWhole(period.End))
                    .Select(meter => (meter, Measurement.Sum(together, Scope(meter, period, through)))),
            ];
        }
    }

    /// <summary>What each meter bills, once all that was asked is sent.</summary>
    /// <param name="together">Sent before anything else is asked, and with it.</param>
    public async Task<IReadOnlyList<MeteredQuantity>> Read(RoundTrip together, CancellationToken cancellation)
    {
        // 1 the use of the running period, of all meters at once
        foreach (var (meter, sum) in sums)
        {
            if (sum.Value is { } quantity)
                measured[(meter.Key, period, through)] = Measured.Units(quantity);
        }

        if (runs)
            await MeasureAll([.. meters.SelectMany(RunningUse).Where(it => !measured.ContainsKey((it.Meter.Key, it.Time, it.Position)))]);

        // 2 what each meter bills
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
                var grown = now.Quantity - (await Measure(meter, window, subscription.UsageThrough)).Quantity;
                quantities.Add(Metered(meter, grown, window, isLate: true, now, already));
                billed[whole] = meter.AddsUp ? Measured.Units((already?.Quantity ?? 0) + grown) : now;
            }

            if (runs)
            {
                var already = await AlreadyBilled(meter, Calendar);
                var soFar = await Measure(meter, Running(meter), through);
                var used = meter.AddsUp ? soFar.Quantity : soFar.Quantity - (already?.Quantity ?? 0);
                quantities.Add(Metered(meter, used, period, isLate: false, soFar, already));
            }

            async Task<Measured?> AlreadyBilled(BilledMeter of, BillingPeriod whole)
            {
                if (billed.TryGetValue(whole, out var known))
                    return known;
                return (whole == Calendar ? RunningBilledFrom : await BilledFromNow(whole)) is { } start
                    ? await Measure(of, BilledPart(start, whole), subscription.UsageThrough)
                    : null;
            }
        }

        return quantities;

        async Task<Instant?> BilledFromNow(BillingPeriod whole)
        {
            var answer = BilledFrom(together, whole);
            await together.Send(cancellation);
            return answer.Value;
        }

        async Task<Measured> Measure(BilledMeter meter, BillingPeriod time, long position)
        {
            if (!measured.ContainsKey((meter.Key, time, position)))
                await MeasureAll([(meter, time, position)]);
            return measured[(meter.Key, time, position)];
        }

        // One query for each, however many prices hold in that time, and one more where the price reads events.
        async Task MeasureAll(IReadOnlyList<(BilledMeter Meter, BillingPeriod Time, long Position)> wanted)
        {
            if (wanted.Count == 0)
                return;

            await together.Send(cancellation);
            // Many events take long to read, and broken off they would take as long the next time.
            var reading = new RoundTrip(together.Connection) { TimeoutSeconds = 0 };
            var answers = wanted.Select(it =>
            {
                var scope = Scope(it.Meter, it.Time, it.Position);
                return (it.Meter, it.Time, it.Position, scope.Bounds, Cells: Measurement.Quantities(reading, scope, asked!.RolledUp.Value),
                    Tallied: it.Meter.Events is { } events ? Measurement.Tally(reading, scope, events) : null);
            }).ToList();
            await reading.Send(cancellation);
            foreach (var (meter, time, position, bounds, cells, tallied) in answers)
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

        // What is measured of slices that the ledger learned something about: each by itself, or all that is billed of the period by the
        // calendar. A gauge's level holds on into all windows after it.
        async Task<IReadOnlyList<BillingPeriod>> Reopened(BilledMeter meter)
        {
            var isGauge = meter.Definition.Aggregation is Aggregation.WeightedSum;
            var slices = asked!.Late.Value
                .Where(it => it.Type == meter.Definition.EventType && (isGauge || it.Within)).Select(it => it.Slice).ToList();
            if (meter.AddsUp)
                return slices;
            var parts = new List<BillingPeriod>();
            foreach (var whole in slices.Select(slice => Whole(slice.Start)).Distinct())
                parts.Add(BilledPart((await BilledFromNow(whole))!.Value, whole));
            return parts;
        }
    }

    private MeasuredScope Scope(BilledMeter meter, BillingPeriod time, long position) =>
        new(tenant, meter.Definition, [.. meter.Parts(time, zone), time.End], position) { Version = meter.Version };

    // The part of the period by the calendar in which the plan ran.
    private BillingPeriod Whole(Instant at)
    {
        if (span.Trial)
            return plan;
        var calendar = BillingPeriods.Containing(at, span.Cycle, zone);
        return new(Instant.Max(calendar.Start, plan.Start), Instant.Min(calendar.End, plan.End));
    }

    private BillingPeriod Running(BilledMeter meter) => meter.AddsUp ? period : new(RunningBilledFrom ?? period.Start, period.End);

    private IEnumerable<(BilledMeter Meter, BillingPeriod Time, long Position)> RunningUse(BilledMeter meter)
    {
        yield return (meter, Running(meter), through);
        if (RunningBilledFrom is { } start)
            yield return (meter, BilledPart(start, Calendar), subscription.UsageThrough);
    }

    // Closed periods follow each other without a gap: those of one period by the calendar begin here.
    private Answer<Instant?> BilledFrom(RoundTrip together, BillingPeriod whole) => together.Ask(
        firstBilled, (tenant, id, subscription.PeriodNumber, whole), rows => rows is [var start] ? start : (Instant?)null);

    private BillingPeriod BilledPart(Instant billedFrom, BillingPeriod whole) => new(billedFrom, Instant.Min(whole.End, period.Start));

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
