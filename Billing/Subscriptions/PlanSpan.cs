using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Subscriptions;

/// <summary>When a subscription was on which version of which plan.</summary>
/// <param name="Start">Included.</param>
/// <param name="End">Excluded; null for the plan that runs.</param>
/// <param name="Cycle">Its billing periods.</param>
/// <param name="Trial">It cost nothing, and was one period.</param>
public sealed record PlanSpan(
    PlanId PlanId, int PlanVersion, Instant Start, Instant? End, BillingCycle Cycle,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Trial = false)
{
    public static IReadOnlyList<PlanSpan> Ended(IReadOnlyList<PlanSpan> plans, Instant end) =>
        [.. plans.SkipLast(1), plans[^1] with { End = end }];

    public static IReadOnlyList<PlanSpan> First(SubscriptionStarted it) =>
        [new(it.PlanId, it.PlanVersion, it.StartedAt, End: null, it.Cycle, Trial: it.TrialEnd is not null)];

    /// <param name="trialEnd">A change within the trial does not end it.</param>
    public static IReadOnlyList<PlanSpan> Changed(IReadOnlyList<PlanSpan> plans, PlanChanged change, Instant? trialEnd) =>
    [
        .. Ended(plans, change.EffectiveAt),
        new(change.PlanId, change.PlanVersion, change.EffectiveAt, End: null, change.Cycle, change.EffectiveAt < trialEnd),
    ];

    public static IReadOnlyList<PlanSpan> WithCycle(IReadOnlyList<PlanSpan> plans, BillingCycle cycle) =>
        [.. plans.SkipLast(1), plans[^1] with { Cycle = cycle }];

    public static IReadOnlyList<PlanSpan> Paid(IReadOnlyList<PlanSpan> plans, Instant from) =>
        [.. Ended(plans, from), plans[^1] with { Start = from, Trial = false }];
}
