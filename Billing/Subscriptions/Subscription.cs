using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(SubscriptionStarted), "subscription.started.v1")]
[JsonDerivedType(typeof(PeriodClosed), "subscription.period_closed.v1")]
[JsonDerivedType(typeof(CancellationScheduled), "subscription.cancellation_scheduled.v1")]
[JsonDerivedType(typeof(CancellationWithdrawn), "subscription.cancellation_withdrawn.v1")]
[JsonDerivedType(typeof(SubscriptionEnded), "subscription.ended.v1")]
[JsonDerivedType(typeof(NothingLate), "subscription.nothing_late.v1")]
public abstract record SubscriptionEvent;

/// <param name="TimeZone">The tenant's IANA zone when the subscription began.</param>
/// <param name="StartedAt">Start of the first period; it ends at <paramref name="PeriodEnd"/>.</param>
public sealed record SubscriptionStarted(
    SubscriptionId SubscriptionId, TenantId TenantId, PlanId PlanId, int PlanVersion, string TimeZone, int BillingAnchorDay,
    Instant StartedAt, Instant PeriodEnd, Instant At) : SubscriptionEvent;

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
/// <param name="PeriodEnd">The end of time where no end comes by itself.</param>
/// <param name="UsageThrough">Where in the usage ledger the last close stood; 0 before the first.</param>
/// <param name="EndsAt">Where it is cancelled: no period begins then or later.</param>
/// <param name="EndedAt">Set once the last period is closed; the period that runs then takes late usage alone.</param>
public sealed record Subscription(
    bool Exists, PlanId PlanId, int PlanVersion, string TimeZone, int BillingAnchorDay, Instant StartedAt,
    int PeriodNumber, Instant PeriodStart, Instant PeriodEnd, long UsageThrough, PeriodClosed? LastClosed, Instant? EndsAt,
    Instant? EndedAt)
    : IEvolve<Subscription, SubscriptionEvent>
{
    public static Subscription Initial => new(
        Exists: false, PlanId: default, PlanVersion: 0, TimeZone: "Etc/UTC", BillingAnchorDay: 1, StartedAt: default,
        PeriodNumber: 0, PeriodStart: default, PeriodEnd: default, UsageThrough: 0, LastClosed: null,
        EndsAt: null, EndedAt: null);

    public static StreamId Stream(TenantId tenant, SubscriptionId subscription) =>
        new(tenant.Value, "subscription", subscription.Value);

    public BillingPeriod Running => new(PeriodStart, PeriodEnd);

    public static Subscription Evolve(Subscription subscription, SubscriptionEvent @event) => @event switch
    {
        SubscriptionStarted it => subscription with
        {
            Exists = true,
            PlanId = it.PlanId,
            PlanVersion = it.PlanVersion,
            TimeZone = it.TimeZone,
            BillingAnchorDay = it.BillingAnchorDay,
            StartedAt = it.StartedAt,
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
        SubscriptionEnded it => subscription with { EndedAt = it.EndedAt },
        NothingLate it => subscription with { PeriodEnd = it.NextEnd ?? Instant.MaxValue, UsageThrough = it.UsageThrough },
        _ => throw new UnreachableException($"Subscription does not know {@event.GetType().Name}."),
    };
}
