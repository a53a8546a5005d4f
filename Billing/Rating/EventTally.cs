using System.Diagnostics;

namespace Platform.Billing.Rating;

/// <summary>What a price reads of each event of a meter, where quantities and their time are not enough for it.</summary>
/// <param name="Price">A percentage or a dynamic price.</param>
/// <param name="Amount">The member of the events' data that holds the amount; null where the charge's unit amount is multiplied.</param>
/// <param name="Multiplier">The member that holds the multiplier, if there is one.</param>
public sealed record EventPrices(PriceModel Price, string? Amount, string? Multiplier);

/// <summary>
/// What single events come to by their price, added up as they are read. It keeps sums and a bounded number of steps, never the events:
/// a million of them take no more room than ten, in memory and on the invoice. Pure, and the same however equal events are put together.
/// </summary>
public abstract class EventTally
{
    /// <summary>So many prices that events brought have steps of their own, those that came to most. All others are one step.</summary>
    public const int PricesMax = 50;

    private decimal last;

    public static EventTally By(PriceModel price) => price switch
    {
        PercentagePrice it => new Shares(it),
        DynamicPrice it => new BroughtPrices(it),
        _ => throw new UnreachableException($"{price.GetType().Name} reads no events."),
    };

    /// <param name="events">In any order.</param>
    public static IReadOnlyList<RatingStep> Of(PriceModel price, IEnumerable<PricedEvent> events)
    {
        var tally = By(price);
        foreach (var each in events.OrderBy(tally.AmountOf))
            tally.Add(each);
        return tally.Steps();
    }

    /// <param name="events">Of no smaller an amount than those before; those without one come first.</param>
    public void Add(PricedEvent events)
    {
        var amount = AmountOf(events);
        if (amount < last)
            throw new InvalidOperationException("Events are tallied from the smallest amount to the largest.");
        last = amount ?? last;
        Tally(amount, events);
    }

    /// <summary>Once all events were added. The amounts sum to what the events owe.</summary>
    public abstract IReadOnlyList<RatingStep> Steps();

    protected abstract decimal? AmountOf(PricedEvent events);

    protected abstract void Tally(decimal? amount, PricedEvent events);

    /// <summary>Shares of amounts, which differ by four kinds of events alone.</summary>
    private sealed class Shares(PercentagePrice price) : EventTally
    {
        private Sum free, paid, atMinimum, atMaximum;
        private long freeEvents = price.FreeEvents > 0 ? price.FreeEvents : price.FreeAmount > 0 ? long.MaxValue : 0;
        private decimal? freeAmount = price.FreeAmount > 0 ? price.FreeAmount : null;

        public override IReadOnlyList<RatingStep> Steps() =>
        [
            .. Step(StepKind.Free, free, amount: 0),
            .. Step(StepKind.Event, paid, paid.Amount * price.Rate + paid.Events * price.FixedAmount)
                .Select(step => step with { Rate = price.Rate, FlatAmount = price.FixedAmount }),
            .. Bound(StepKind.EventMinimum, atMinimum, price.PerEventMinimum),
            .. Bound(StepKind.EventMaximum, atMaximum, price.PerEventMaximum),
        ];

        protected override decimal? AmountOf(PricedEvent events) => events.Amount;

        // Free allowances go to the smallest events first, so that the order of arrival makes no difference.
        protected override void Tally(decimal? amount, PricedEvent events)
        {
            if (amount is not > 0)
                return;

            // 1 events that are wholly free; counted by remainder, because a quotient would be rounded
            var (each, left) = (amount.Value, events.Count);
            var whole = Math.Min(left, freeEvents);
            if (freeAmount is { } rest)
                whole = (long)Math.Min(whole, (rest - rest % each) / each);
            Free(each, whole);
            left -= whole;

            // 2 the one event that what is left of the free amount pays in part
            if (left > 0 && freeEvents > 0 && freeAmount is > 0 and var part)
            {
                Free(part, count: 1);
                Pay(each - part, count: 1);
                left--;
            }

            // 3 all others
            Pay(each, left);
        }

        private void Free(decimal each, long count)
        {
            free = free.And(each, count);
            (freeEvents, freeAmount) = (freeEvents - count, freeAmount - each * count);
        }

        private void Pay(decimal each, long count)
        {
            var owed = each * price.Rate + price.FixedAmount;
            if (owed < price.PerEventMinimum)
                atMinimum = atMinimum.And(each, count);
            else if (owed > price.PerEventMaximum)
                atMaximum = atMaximum.And(each, count);
            else
                paid = paid.And(each, count);
        }

        private static IEnumerable<RatingStep> Bound(StepKind kind, Sum sum, decimal? bound) =>
            Step(kind, sum, sum.Events * (bound ?? 0)).Select(step => step with { FlatAmount = bound });

        private static IEnumerable<RatingStep> Step(StepKind kind, Sum sum, decimal amount) => sum.Events == 0 ? [] :
            [Rate.Step(kind, amount) with { Quantity = Rate.Exact(sum.Amount), Events = sum.Events }];

        private readonly record struct Sum(decimal Amount, long Events)
        {
            public Sum And(decimal each, long count) => new(Amount + each * count, Events + count);
        }
    }

    /// <summary>Prices that the events bring: a step each, as long as there are not too many.</summary>
    private sealed class BroughtPrices(DynamicPrice price) : EventTally
    {
        // What came to least is taken out first, whatever came when.
        private readonly PriorityQueue<Sum, (decimal Amount, decimal UnitAmount)> dearest = new();
        private Sum running;
        private (decimal Quantity, decimal Amount, long Events) others;
        private long unpriced;

        public override IReadOnlyList<RatingStep> Steps()
        {
            Keep();
            return
            [
                .. dearest.UnorderedItems.OrderByDescending(it => it.Priority).Select(it => it.Element)
                    .Select(sum => Step(StepKind.Event, sum.Amount, sum.Quantity, sum.Events) with { UnitAmount = sum.UnitAmount }),
                .. others.Events == 0
                    ? Array.Empty<RatingStep>()
                    : [Step(StepKind.OtherEvents, others.Amount, others.Quantity, others.Events)],
                .. unpriced == 0 ? Array.Empty<RatingStep>() : [Rate.Step(StepKind.Unpriced, amount: 0) with { Events = unpriced }],
            ];
        }

        protected override decimal? AmountOf(PricedEvent events) => events.Amount ?? (events.Multiplier is null ? null : price.UnitAmount);

        protected override void Tally(decimal? amount, PricedEvent events)
        {
            if (amount is not { } unitAmount)
            {
                unpriced += events.Count;
                return;
            }

            var quantity = (events.Multiplier ?? 1) * events.Count;
            if (unitAmount == 0 || quantity == 0)
                return;
            if (unitAmount != running.UnitAmount)
                Keep();
            running = new(unitAmount, running.Quantity + quantity, running.Events + events.Count);
        }

        private void Keep()
        {
            if (running.Events > 0)
                dearest.Enqueue(running, (running.Amount, running.UnitAmount));
            running = default;
            if (dearest.Count > PricesMax && dearest.Dequeue() is var least)
                others = (others.Quantity + least.Quantity, others.Amount + least.Amount, others.Events + least.Events);
        }

        private static RatingStep Step(StepKind kind, decimal amount, decimal quantity, long events) =>
            Rate.Step(kind, amount) with { Quantity = Rate.Exact(quantity), Events = events };

        private readonly record struct Sum(decimal UnitAmount, decimal Quantity, long Events)
        {
            public decimal Amount => UnitAmount * Quantity;
        }
    }
}
