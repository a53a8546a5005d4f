using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Subscriptions;

/// <summary>When a subscription was on which version of which plan.</summary>
/// <param name="Start">Included.</param>
/// <param name="End">Excluded; null for the plan that runs.</param>
/// <param name="Cycle">Its billing periods.</param>
public sealed record PlanSpan(PlanId PlanId, int PlanVersion, Instant Start, Instant? End, BillingCycle Cycle)
{
    public static IReadOnlyList<PlanSpan> Ended(IReadOnlyList<PlanSpan> plans, Instant end) =>
        [.. plans.SkipLast(1), plans[^1] with { End = end }];

    public static IReadOnlyList<PlanSpan> Changed(IReadOnlyList<PlanSpan> plans, PlanChanged change) =>
        [.. Ended(plans, change.EffectiveAt), new(change.PlanId, change.PlanVersion, change.EffectiveAt, End: null, change.Cycle)];
}
