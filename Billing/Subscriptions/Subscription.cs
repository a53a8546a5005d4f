using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(SubscriptionStarted), "subscription.started.v1")]
[JsonDerivedType(typeof(PeriodClosed), "subscription.period_closed.v1")]
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
/// <param name="RequestId">The request that ended the period early; null where it ended by the calendar.</param>
public sealed record PeriodClosed(
    int Number, Instant Start, Instant End, Instant NextEnd, InvoiceId InvoiceId, long UsageThrough, Guid? RequestId,
    Instant At) : SubscriptionEvent;

/// <summary>A subscription and the period that runs now.</summary>
/// <param name="UsageThrough">Where in the usage ledger the last close stood; 0 before the first.</param>
public sealed record Subscription(
    bool Exists, PlanId PlanId, int PlanVersion, string TimeZone, int BillingAnchorDay, Instant StartedAt,
    int PeriodNumber, Instant PeriodStart, Instant PeriodEnd, long UsageThrough, PeriodClosed? LastClosed)
    : IEvolve<Subscription, SubscriptionEvent>
{
    public static Subscription Initial => new(
        Exists: false, PlanId: default, PlanVersion: 0, TimeZone: "Etc/UTC", BillingAnchorDay: 1, StartedAt: default,
        PeriodNumber: 0, PeriodStart: default, PeriodEnd: default, UsageThrough: 0, LastClosed: null);

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
        _ => throw new UnreachableException($"Subscription does not know {@event.GetType().Name}."),
    };
}
