using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Revenue;

/// <summary>What recurs of a tenant, and every movement of it, some of it maybe agreed for a time to come. Pure.</summary>
/// <param name="Movements">In order. Up to any instant they sum to what recurs then.</param>
public sealed record RecurringRevenue(
    Currency Currency, IReadOnlyList<RecurringSubscription> Subscriptions, IReadOnlyList<MrrMovement> Movements)
{
    public const string Table = "recurring_revenue";

    /// <param name="stream">The id of the event's stream.</param>
    public static RecurringRevenue Fold(RecurringRevenue? tenant, object @event, Guid stream) => (tenant, @event) switch
    {
        (_, SubscriptionStarted it) => Of(
            it.RecurringFee.Currency, [.. tenant?.Subscriptions ?? [], RecurringSubscription.From(it)]),
        ({ } known, SubscriptionEvent it) => known.With(new SubscriptionId(stream), subscription => subscription.After(it)),
        ({ } known, AddOnAttached { Kind: AddOnKind.Recurring } it) =>
            known.With(it.SubscriptionId, subscription => subscription.With(it)),
        ({ } known, AddOnAttached) => known,
        ({ } known, AddOnRemoved it) => Of(
            known.Currency, [.. known.Subscriptions.Select(subscription => subscription.Without(new(stream), it.At))]),
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {tenant}."),
    };

    private RecurringRevenue With(SubscriptionId id, Func<RecurringSubscription, RecurringSubscription> change) => Of(
        Currency, [.. Subscriptions.Select(subscription => subscription.SubscriptionId == id ? change(subscription) : subscription)]);

    private static RecurringRevenue Of(Currency currency, IReadOnlyList<RecurringSubscription> subscriptions)
    {
        var (movements, before, paidBefore) = (new List<MrrMovement>(), 0L, false);
        foreach (var at in subscriptions.SelectMany(subscription => subscription.Turns).Distinct().Order())
        {
            var after = subscriptions.Sum(subscription => subscription.AnnualAt(at));
            if (MrrMovement.Between(before, after, paidBefore) is { } kind)
                movements.Add(new(at, kind, after - before));
            (before, paidBefore) = (after, paidBefore || after > 0);
        }

        return new(currency, subscriptions, movements);
    }

    public bool Equals(RecurringRevenue? other) =>
        other is not null && Currency == other.Currency && Subscriptions.SequenceEqual(other.Subscriptions)
        && Movements.SequenceEqual(other.Movements);

    public override int GetHashCode() => HashCode.Combine(Currency, Subscriptions.Count, Movements.Count);
}

/// <summary>Why what recurs of a tenant changed.</summary>
public enum MrrMovementKind
{
    /// <summary>Nothing recurred of the tenant ever before.</summary>
    New,
    Expansion,
    Contraction,

    /// <summary>Nothing recurs any more.</summary>
    Churn,

    /// <summary>Something recurs again after a churn.</summary>
    Reactivation,
}

/// <param name="Annual">By how much, in minor units a year: twelve times the monthly amount, which has no rest.</param>
public sealed record MrrMovement(Instant At, MrrMovementKind Kind, long Annual)
{
    /// <param name="paidBefore">Something recurred of the tenant at some time before.</param>
    /// <returns>Null where nothing moved.</returns>
    public static MrrMovementKind? Between(long before, long after, bool paidBefore) => (before, after) switch
    {
        _ when before == after => null,
        (0, _) => paidBefore ? MrrMovementKind.Reactivation : MrrMovementKind.New,
        (_, 0) => MrrMovementKind.Churn,
        _ => after > before ? MrrMovementKind.Expansion : MrrMovementKind.Contraction,
    };
}

public sealed class RecurringRevenueProjection : DocumentProjection<RecurringRevenue, object>
{
    public override string Name => RecurringRevenue.Table;

    protected override string Table => RecurringRevenue.Table;

    protected override JsonTypeInfo<RecurringRevenue> Json => Stored.Json<RecurringRevenue>();

    // Closing a period moves nothing, and is what happens most.
    public override bool Folds(Type eventType) =>
        typeof(SubscribedAddOnEvent).IsAssignableFrom(eventType)
        || (typeof(SubscriptionEvent).IsAssignableFrom(eventType) && eventType != typeof(PeriodClosed) && eventType != typeof(NothingLate));

    protected override Guid KeyOf(RecordedEvent recorded) => recorded.Stream.TenantId;

    protected override RecurringRevenue? Fold(RecurringRevenue? view, object @event, RecordedEvent recorded) =>
        RecurringRevenue.Fold(view, @event, recorded.Stream.Id);
}
