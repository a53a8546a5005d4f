using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(SubscriptionStarted), "subscription.started.v1")]
[JsonDerivedType(typeof(PeriodClosed), "subscription.period_closed.v1")]
[JsonDerivedType(typeof(PlanChangeScheduled), "subscription.plan_change_scheduled.v1")]
[JsonDerivedType(typeof(PlanChangeWithdrawn), "subscription.plan_change_withdrawn.v1")]
[JsonDerivedType(typeof(PlanChanged), "subscription.plan_changed.v1")]
[JsonDerivedType(typeof(TrialEndChanged), "subscription.trial_end_changed.v1")]
[JsonDerivedType(typeof(TrialEnded), "subscription.trial_ended.v1")]
[JsonDerivedType(typeof(QuantityChanged), "subscription.quantity_changed.v1")]
[JsonDerivedType(typeof(SubscriptionPaused), "subscription.paused.v1")]
[JsonDerivedType(typeof(SubscriptionResumed), "subscription.resumed.v1")]
[JsonDerivedType(typeof(CancellationScheduled), "subscription.cancellation_scheduled.v1")]
[JsonDerivedType(typeof(CancellationWithdrawn), "subscription.cancellation_withdrawn.v1")]
[JsonDerivedType(typeof(SubscriptionEnded), "subscription.ended.v1")]
[JsonDerivedType(typeof(NothingLate), "subscription.nothing_late.v1")]
public abstract record SubscriptionEvent;

/// <param name="TimeZone">The tenant's IANA zone when the subscription began.</param>
/// <param name="BillingAnchorDay">The tenant's when the subscription began.</param>
/// <param name="StartedAt">
/// Start of the first period; it ends at <paramref name="PeriodEnd"/>, or at once where a fee in advance is owed from the beginning.
/// </param>
/// <param name="RecurringFee">Of the plan's version: for each billing period and unit of the quantity.</param>
/// <param name="Quantity">How many times the plan's fee is owed.</param>
/// <param name="TrialEnd">Where the first paid period begins; absent without a trial.</param>
public sealed record SubscriptionStarted(
    SubscriptionId SubscriptionId, TenantId TenantId, PlanId PlanId, int PlanVersion, string TimeZone, BillingAnchor Anchor,
    int BillingAnchorDay, BillingCycle Cycle, Money RecurringFee, Instant StartedAt, Instant PeriodEnd, int Quantity, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Instant? TrialEnd = null) : SubscriptionEvent
{
    /// <summary>0 for the moment at which a fee in advance is billed, so that the first period with length is the first.</summary>
    [JsonIgnore]
    public int FirstNumber => PeriodEnd > StartedAt ? 1 : 0;
}

/// <summary>The period [<paramref name="Start"/>, <paramref name="End"/>) is on an invoice; the next one began at its end.</summary>
/// <param name="Number">1 for the first period of the subscription, then without a gap.</param>
/// <param name="NextEnd">The end of the period that runs now.</param>
/// <param name="UsageThrough">
/// The ledger position up to which the tenant's usage was considered: what comes after it for this or an earlier period is
/// late and goes onto the next invoice.
/// </param>
/// <param name="RequestId">The request that ended the period early; null where it ended by itself.</param>
/// <param name="Prepaid">The fee of the period that runs now, or of more, where this invoice or one before billed it in advance.</param>
public sealed record PeriodClosed(
    int Number, Instant Start, Instant End, Instant NextEnd, InvoiceId InvoiceId, long UsageThrough, Guid? RequestId,
    Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PrepaidFee? Prepaid = null) : SubscriptionEvent;

/// <summary>The running trial, and its period, end at another time than agreed before.</summary>
/// <param name="Cycle">The billing periods of the plan that runs, where they are paid.</param>
public sealed record TrialEndChanged(Instant TrialEnd, BillingCycle Cycle, Instant At) : SubscriptionEvent;

/// <summary>Follows the close of the trial: the first paid period began then.</summary>
public sealed record TrialEnded(Instant EndedAt, Instant At) : SubscriptionEvent;

/// <param name="EffectiveAt">In the running period, or its end.</param>
public sealed record QuantityChanged(int Quantity, Instant EffectiveAt, Instant At) : SubscriptionEvent;

/// <summary>No fee is owed from <paramref name="EffectiveAt"/> on.</summary>
public sealed record SubscriptionPaused(Instant EffectiveAt, Instant At) : SubscriptionEvent;

/// <summary>The fee is owed again; a pause that was to come does not.</summary>
public sealed record SubscriptionResumed(Instant EffectiveAt, Instant At) : SubscriptionEvent;

/// <param name="EffectiveAt">The end of the running period: its own, or earlier where the plan was asked to change at once.</param>
/// <param name="Cycle">The billing periods on the new plan.</param>
/// <param name="RecurringFee">The new plan's: for each of its billing periods and unit of the quantity.</param>
public sealed record PlanChangeScheduled(
    PlanId PlanId, int PlanVersion, BillingCycle Cycle, Money RecurringFee, Instant EffectiveAt, Instant At) : SubscriptionEvent;

public sealed record PlanChangeWithdrawn(Instant At) : SubscriptionEvent;

/// <summary>Follows the close of the last period on the plan before; the period that began then is on this plan.</summary>
public sealed record PlanChanged(
    PlanId PlanId, int PlanVersion, BillingCycle Cycle, Money RecurringFee, Instant EffectiveAt, Instant At) : SubscriptionEvent;

/// <summary>What becomes of a fee that was billed in advance for a time after the end.</summary>
public enum FeeRefund
{
    /// <summary>It comes back as a negative line, by the plan's rule of proration.</summary>
    Prorated,

    /// <summary>It is not given back.</summary>
    None,
}

/// <param name="EndsAt">The end of the running period: its own, or earlier where it was asked to end at once.</param>
public sealed record CancellationScheduled(Instant EndsAt, Instant At, FeeRefund Refund = FeeRefund.Prorated) : SubscriptionEvent;

public sealed record CancellationWithdrawn(Instant At) : SubscriptionEvent;

/// <summary>Follows the close of the last period. What runs from here on only takes usage that is reported late.</summary>
public sealed record SubscriptionEnded(Instant EndedAt, Instant At) : SubscriptionEvent;

/// <summary>An ended subscription's books were looked through and nothing had come late, so there is no invoice.</summary>
/// <param name="NextEnd">When they are looked through again; null where usage of before the end is too old to be reported.</param>
/// <param name="UsageThrough">The newest ledger position that was looked at.</param>
public sealed record NothingLate(Instant? NextEnd, long UsageThrough, Instant At) : SubscriptionEvent;

/// <summary>A subscription and the period that runs now.</summary>
/// <param name="Plans">Every plan that it was on, oldest first.</param>
/// <param name="PeriodEnd">The end of time where no end comes by itself.</param>
/// <param name="UsageThrough">Where in the usage ledger the last close stood; 0 before the first.</param>
/// <param name="NextPlan">The plan of the next period, where it is another one.</param>
/// <param name="Fee">Quantity and pauses, from the running period on.</param>
/// <param name="Prepaid">The fee of the running period, where it was billed in advance.</param>
/// <param name="TrialEnd">Where the trial ends or ended; null without one.</param>
/// <param name="Cancellation">Where it is cancelled: no period begins at its end or later.</param>
/// <param name="EndedAt">Set once the last period is closed; the period that runs then takes late usage alone.</param>
public sealed record Subscription(
    bool Exists, IReadOnlyList<PlanSpan> Plans, string TimeZone, BillingAnchor Anchor, int BillingAnchorDay,
    int PeriodNumber, Instant PeriodStart, Instant PeriodEnd, long UsageThrough, PeriodClosed? LastClosed,
    PlanChangeScheduled? NextPlan, FeeSchedule Fee, PrepaidFee? Prepaid, Instant? TrialEnd, CancellationScheduled? Cancellation,
    Instant? EndedAt)
    : IEvolve<Subscription, SubscriptionEvent>
{
    public static Subscription Initial => new(
        Exists: false, Plans: [], TimeZone: "Etc/UTC", BillingAnchor.Calendar, BillingAnchorDay: 1,
        PeriodNumber: 0, PeriodStart: default, PeriodEnd: default, UsageThrough: 0, LastClosed: null,
        NextPlan: null, Fee: new([]), Prepaid: null, TrialEnd: null, Cancellation: null, EndedAt: null);

    public static StreamId Stream(TenantId tenant, SubscriptionId subscription) =>
        new(tenant.Value, "subscription", subscription.Value);

    public PlanId PlanId => Plans[^1].PlanId;

    public int PlanVersion => Plans[^1].PlanVersion;

    /// <summary>That of the newest plan.</summary>
    public BillingCycle Cycle => Plans[^1].Cycle;

    public Instant? EndsAt => Cancellation?.EndsAt;

    public bool InTrial => Plans[^1].Trial;

    /// <summary>No trial of the subscription ends later.</summary>
    public Instant TrialEndMax => Plans[0].Start + StartSubscription.TrialMax;

    private DateTimeZone Zone => DateTimeZoneProviders.Tzdb[TimeZone];

    /// <summary>
    /// The periods of a plan that begins at <paramref name="start"/>. By the calendar, they are the calendar's. By the anniversary, the
    /// first one is whole: the anchor moves there, unless a period of that length begins there anyway.
    /// </summary>
    /// <remarks>A trial has no periods: those of a plan that was chosen within it begin where it ends.</remarks>
    public BillingCycle CycleFrom(Instant start, PlanTerms terms)
    {
        var (interval, kept) = (terms.Interval, Cycle with { Interval = terms.Interval, FeeTiming = terms.FeeTiming });
        if (interval == Cycle.Interval)
            return kept;

        start = TrialEnd > start ? TrialEnd.Value : start;
        var date = start.InZone(Zone).Date;
        return Anchor switch
        {
            BillingAnchor.Calendar => BillingCycle.OfCalendar(interval, BillingAnchorDay, date) with { FeeTiming = terms.FeeTiming },
            _ when BillingPeriods.Containing(start, kept, Zone).Start == BillingPeriods.StartOfDay(date, Zone) => kept,
            _ => kept with { Anchor = date },
        };
    }

    /// <summary>The paid periods of the plan that runs, where its trial ends at <paramref name="end"/>; anniversaries count from there.</summary>
    public BillingCycle CycleAfterTrial(Instant end) =>
        Anchor == BillingAnchor.Anniversary ? Cycle with { Anchor = end.InZone(Zone).Date } : Cycle;

    /// <summary>Where a period ends that begins or goes on at <paramref name="start"/>.</summary>
    public Instant PeriodEndFrom(Instant start)
    {
        var end = InTrial && start < TrialEnd ? TrialEnd.Value : BillingPeriods.Containing(start, Cycle, Zone).End;
        return start < EndsAt && EndsAt < end ? EndsAt.Value : end;
    }

    /// <summary>What decides the fee that a period owes when it ends.</summary>
    public FeeBasis FeeOf(BillingPeriod period) => new(
        Fee.Over(period), Prepaid, KeepsUnused: Cancellation is { Refund: FeeRefund.None } last && last.EndsAt == period.End, InTrial);

    /// <summary>Whether a period that ends then is the last one on its plan.</summary>
    public bool PlanEndsAt(Instant end) => EndsAt == end || NextPlan?.EffectiveAt == end;

    public static Subscription Evolve(Subscription subscription, SubscriptionEvent @event) => @event switch
    {
        SubscriptionStarted it => subscription with
        {
            Exists = true,
            Plans = PlanSpan.First(it),
            TimeZone = it.TimeZone,
            Anchor = it.Anchor,
            BillingAnchorDay = it.BillingAnchorDay,
            PeriodNumber = it.FirstNumber,
            PeriodStart = it.StartedAt,
            PeriodEnd = it.PeriodEnd,
            Fee = FeeSchedule.From(it.StartedAt, it.Quantity),
            TrialEnd = it.TrialEnd,
        },
        PeriodClosed it => subscription with
        {
            PeriodNumber = it.Number + 1,
            PeriodStart = it.End,
            PeriodEnd = it.NextEnd,
            UsageThrough = it.UsageThrough,
            LastClosed = it,
            Fee = subscription.Fee.Since(it.End),
            Prepaid = it.Prepaid,
        },
        TrialEndChanged it => subscription with
        {
            TrialEnd = it.TrialEnd,
            PeriodEnd = it.TrialEnd,
            Plans = PlanSpan.WithCycle(subscription.Plans, it.Cycle),
        },
        TrialEnded it => subscription with { Plans = PlanSpan.Paid(subscription.Plans, it.EndedAt) },
        QuantityChanged it => subscription with { Fee = subscription.Fee.WithQuantity(it.Quantity, it.EffectiveAt) },
        SubscriptionPaused it => subscription with { Fee = subscription.Fee.WithPause(paused: true, it.EffectiveAt) },
        SubscriptionResumed it => subscription with { Fee = subscription.Fee.WithPause(paused: false, it.EffectiveAt) },
        CancellationScheduled it => subscription with { Cancellation = it, PeriodEnd = it.EndsAt },
        CancellationWithdrawn => subscription with { Cancellation = null },
        PlanChangeScheduled it => subscription with { NextPlan = it, PeriodEnd = it.EffectiveAt },
        PlanChangeWithdrawn => subscription with { NextPlan = null },
        PlanChanged it => subscription with { NextPlan = null, Plans = PlanSpan.Changed(subscription.Plans, it, subscription.TrialEnd) },
        SubscriptionEnded it => subscription with { EndedAt = it.EndedAt, Plans = PlanSpan.Ended(subscription.Plans, it.EndedAt) },
        NothingLate it => subscription with { PeriodEnd = it.NextEnd ?? Instant.MaxValue, UsageThrough = it.UsageThrough },
        _ => throw new UnreachableException($"Subscription does not know {@event.GetType().Name}."),
    };
}
