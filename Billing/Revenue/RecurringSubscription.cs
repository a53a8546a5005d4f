using System.Diagnostics;
using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Revenue;

/// <param name="RecurringFee">For each of its billing periods and unit of the subscription's quantity.</param>
public sealed record RecurringPlan(Instant From, BillingInterval Interval, Money RecurringFee);

/// <param name="Amount">Of all of it, for each billing period.</param>
/// <param name="Until">Null while the subscription has it.</param>
public sealed record RecurringAddOn(SubscribedAddOnId SubscribedAddOnId, Money Amount, Instant From, Instant? Until);

/// <summary>What of a subscription recurs, over its whole life and as far ahead as is agreed. Pure.</summary>
/// <param name="Plans">In order; each until the next.</param>
/// <param name="NextPlan">What was asked for and can still be taken back.</param>
/// <param name="PaidFrom">Where its trial ends; null without one.</param>
public sealed record RecurringSubscription(
    SubscriptionId SubscriptionId, IReadOnlyList<RecurringPlan> Plans, RecurringPlan? NextPlan, FeeSchedule Fee, Instant? PaidFrom,
    Instant? EndsAt, IReadOnlyList<RecurringAddOn> AddOns)
{
    public static RecurringSubscription From(SubscriptionStarted it) => new(
        it.SubscriptionId, [new(it.StartedAt, it.Cycle.Interval, it.RecurringFee)], NextPlan: null,
        FeeSchedule.From(it.StartedAt, it.Quantity), it.TrialEnd, EndsAt: null, AddOns: []);

    public RecurringSubscription After(SubscriptionEvent @event) => @event switch
    {
        PlanChangeScheduled it => this with { NextPlan = new(it.EffectiveAt, it.Cycle.Interval, it.RecurringFee) },
        PlanChangeWithdrawn => this with { NextPlan = null },
        PlanChanged it => this with { NextPlan = null, Plans = [.. Plans, new(it.EffectiveAt, it.Cycle.Interval, it.RecurringFee)] },
        TrialEndChanged it => this with { PaidFrom = it.TrialEnd },
        TrialEnded it => this with { PaidFrom = it.EndedAt },
        QuantityChanged it => this with { Fee = Fee.WithQuantity(it.Quantity, it.EffectiveAt) },
        SubscriptionPaused it => this with { Fee = Fee.WithPause(paused: true, it.EffectiveAt) },
        SubscriptionResumed it => this with { Fee = Fee.WithPause(paused: false, it.EffectiveAt) },
        CancellationScheduled it => this with { EndsAt = it.EndsAt },
        CancellationWithdrawn => this with { EndsAt = null },
        SubscriptionEnded it => this with { EndsAt = it.EndedAt },
        _ => throw new UnreachableException($"Recurring revenue does not know {@event.GetType().Name}."),
    };

    public RecurringSubscription With(AddOnAttached it) => this with
    {
        AddOns =
        [
            .. AddOns,
            new(it.SubscribedAddOnId, it.Amount with { MinorUnits = checked(it.Amount.MinorUnits * it.Quantity) }, it.At, Until: null),
        ],
    };

    public RecurringSubscription Without(SubscribedAddOnId addOn, Instant from) => this with
    {
        AddOns = [.. AddOns.Select(it => it.SubscribedAddOnId == addOn ? it with { Until = from } : it)],
    };

    /// <summary>Every instant at which what recurs may change.</summary>
    public IEnumerable<Instant> Turns =>
    [
        .. Known.Select(plan => plan.From),
        .. Fee.Steps.Select(step => step.From),
        .. AddOns.Select(addOn => addOn.From),
        .. AddOns.Select(addOn => addOn.Until).Append(PaidFrom).Append(EndsAt).OfType<Instant>(),
    ];

    /// <summary>
    /// What recurs from an instant on, in minor units a year. A trial and a pause spare the plan's fee alone: add-ons are owed in them.
    /// </summary>
    public long AnnualAt(Instant at)
    {
        if (at < Plans[0].From || at >= EndsAt)
            return 0;

        var (plan, step) = (Known.Last(it => it.From <= at), Fee.At(at));
        var fee = at < PaidFrom || step.Paused ? 0 : checked(plan.RecurringFee.MinorUnits * step.Quantity);
        var addOns = AddOns.Where(it => it.From <= at && !(it.Until <= at)).Sum(it => it.Amount.MinorUnits);
        return checked((fee + addOns) * PeriodsPerYear(plan.Interval));
    }

    // Whole numbers, so that amounts a year are exact. A year has a day or two more than 52 weeks, by convention not counted.
    private static int PeriodsPerYear(BillingInterval interval) => interval switch
    {
        BillingInterval.Week => 52,
        BillingInterval.Month => 12,
        BillingInterval.Quarter => 4,
        BillingInterval.Year => 1,
        _ => throw new UnreachableException($"No interval {interval}."),
    };

    private IEnumerable<RecurringPlan> Known => NextPlan is { } next ? Plans.Append(next) : Plans;

    public bool Equals(RecurringSubscription? other) =>
        other is not null
        && (SubscriptionId, NextPlan, Fee, PaidFrom, EndsAt)
            == (other.SubscriptionId, other.NextPlan, other.Fee, other.PaidFrom, other.EndsAt)
        && Plans.SequenceEqual(other.Plans) && AddOns.SequenceEqual(other.AddOns);

    public override int GetHashCode() => SubscriptionId.GetHashCode();
}
