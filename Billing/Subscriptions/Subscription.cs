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
[JsonDerivedType(typeof(CancellationScheduled), "subscription.cancellation_scheduled.v1")]
[JsonDerivedType(typeof(CancellationWithdrawn), "subscription.cancellation_withdrawn.v1")]
[JsonDerivedType(typeof(SubscriptionEnded), "subscription.ended.v1")]
[JsonDerivedType(typeof(NothingLate), "subscription.nothing_late.v1")]
public abstract record SubscriptionEvent;

/// <param name="TimeZone">The tenant's IANA zone when the subscription began.</param>
/// <param name="BillingAnchorDay">The tenant's when the subscription began.</param>
/// <param name="StartedAt">Start of the first period; it ends at <paramref name="PeriodEnd"/>.</param>
public sealed record SubscriptionStarted(
    SubscriptionId SubscriptionId, TenantId TenantId, PlanId PlanId, int PlanVersion, string TimeZone, BillingAnchor Anchor,
    int BillingAnchorDay, BillingCycle Cycle, Instant StartedAt, Instant PeriodEnd, Instant At) : SubscriptionEvent;

/// <summary>The period [<paramref name="Start"/>, <paramref name="End"/>) is on an invoice; the next one began at its end.</summary>
/// <param name="Number">1 for the first period of the subscription, then without a gap.</param>
/// <param name="NextEnd">The end of the period that runs now.</param>
/// <param name="UsageThrough">
/// The ledger position up to which the tenant's usage was considered: what comes after it for this or an earlier period is
/// late and goes onto the next invoice.
/// </param>
/// <param name="RequestId">The request that ended the period early; null where it ended by itself.</param>
/// <param name="Credit">What the invoice carries forward; absent where it carries nothing.</param>
public sealed record PeriodClosed(
    int Number, Instant Start, Instant End, Instant NextEnd, InvoiceId InvoiceId, long UsageThrough, Guid? RequestId,
    Instant At, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Money? Credit = null) : SubscriptionEvent;

/// <param name="EffectiveAt">The end of the running period: its own, or earlier where the plan was asked to change at once.</param>
/// <param name="Cycle">The billing periods on the new plan.</param>
public sealed record PlanChangeScheduled(
    PlanId PlanId, int PlanVersion, BillingCycle Cycle, Instant EffectiveAt, Instant At) : SubscriptionEvent;

public sealed record PlanChangeWithdrawn(Instant At) : SubscriptionEvent;

/// <summary>Follows the close of the last period on the plan before; the period that began then is on this plan.</summary>
public sealed record PlanChanged(
    PlanId PlanId, int PlanVersion, BillingCycle Cycle, Instant EffectiveAt, Instant At) : SubscriptionEvent;

/// <param name="EndsAt">The end of the running period: its own, or earlier where it was asked to end at once.</param>
public sealed record CancellationScheduled(Instant EndsAt, Instant At) : SubscriptionEvent;

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
/// <param name="EndsAt">Where it is cancelled: no period begins then or later.</param>
/// <param name="EndedAt">Set once the last period is closed; the period that runs then takes late usage alone.</param>
public sealed record Subscription(
    bool Exists, IReadOnlyList<PlanSpan> Plans, string TimeZone, BillingAnchor Anchor, int BillingAnchorDay,
    int PeriodNumber, Instant PeriodStart, Instant PeriodEnd, long UsageThrough, PeriodClosed? LastClosed,
    PlanChangeScheduled? NextPlan, Instant? EndsAt, Instant? EndedAt)
    : IEvolve<Subscription, SubscriptionEvent>
{
    public static Subscription Initial => new(
        Exists: false, Plans: [], TimeZone: "Etc/UTC", BillingAnchor.Calendar, BillingAnchorDay: 1,
        PeriodNumber: 0, PeriodStart: default, PeriodEnd: default, UsageThrough: 0, LastClosed: null,
        NextPlan: null, EndsAt: null, EndedAt: null);

    public static StreamId Stream(TenantId tenant, SubscriptionId subscription) =>
        new(tenant.Value, "subscription", subscription.Value);

    public PlanId PlanId => Plans[^1].PlanId;

    public int PlanVersion => Plans[^1].PlanVersion;

    /// <summary>That of the newest plan.</summary>
    public BillingCycle Cycle => Plans[^1].Cycle;

    private DateTimeZone Zone => DateTimeZoneProviders.Tzdb[TimeZone];

    /// <summary>
    /// The periods of a plan that begins at <paramref name="start"/>. By the calendar, they are the calendar's. By the anniversary, the
    /// first one is whole: the anchor moves there, unless a period of that length begins there anyway.
    /// </summary>
    public BillingCycle CycleFrom(Instant start, BillingInterval interval)
    {
        if (interval == Cycle.Interval)
            return Cycle;

        var date = start.InZone(Zone).Date;
        var kept = Cycle with { Interval = interval };
        return Anchor switch
        {
            BillingAnchor.Calendar => BillingCycle.OfCalendar(interval, BillingAnchorDay, date),
            _ when BillingPeriods.Containing(start, kept, Zone).Start == BillingPeriods.StartOfDay(date, Zone) => kept,
            _ => kept with { Anchor = date },
        };
    }

    /// <summary>Where a period ends that begins or goes on at <paramref name="start"/>.</summary>
    public Instant PeriodEndFrom(Instant start)
    {
        var end = BillingPeriods.Containing(start, Cycle, Zone).End;
        return start < EndsAt && EndsAt < end ? EndsAt.Value : end;
    }

    /// <summary>Whether a period that ends then is the last one on its plan.</summary>
    public bool PlanEndsAt(Instant end) => EndsAt == end || NextPlan?.EffectiveAt == end;

    public static Subscription Evolve(Subscription subscription, SubscriptionEvent @event) => @event switch
    {
        SubscriptionStarted it => subscription with
        {
            Exists = true,
            Plans = [new(it.PlanId, it.PlanVersion, it.StartedAt, End: null, it.Cycle)],
            TimeZone = it.TimeZone,
            Anchor = it.Anchor,
            BillingAnchorDay = it.BillingAnchorDay,
            PeriodNumber = 1,
            PeriodStart = it.StartedAt,
            PeriodEnd = it.PeriodEnd,
        },
        PeriodClosed it => subscription with
        {
            PeriodNumber = it.Number + 1,
            PeriodStart = it.End,
            PeriodEnd = it.NextEnd,
            UsageThrough = it.UsageThrough,
            LastClosed = it,
        },
        CancellationScheduled it => subscription with { EndsAt = it.EndsAt, PeriodEnd = it.EndsAt },
        CancellationWithdrawn => subscription with { EndsAt = null },
        PlanChangeScheduled it => subscription with { NextPlan = it, PeriodEnd = it.EffectiveAt },
        PlanChangeWithdrawn => subscription with { NextPlan = null },
        PlanChanged it => subscription with { NextPlan = null, Plans = PlanSpan.Changed(subscription.Plans, it) },
        SubscriptionEnded it => subscription with { EndedAt = it.EndedAt, Plans = PlanSpan.Ended(subscription.Plans, it.EndedAt) },
        NothingLate it => subscription with { PeriodEnd = it.NextEnd ?? Instant.MaxValue, UsageThrough = it.UsageThrough },
        _ => throw new UnreachableException($"Subscription does not know {@event.GetType().Name}."),
    };
}
