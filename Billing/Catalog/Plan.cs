using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PlanVersionPublished), "plan.version_published.v1")]
public abstract record PlanEvent;

/// <summary>A version of a plan never changes: subscriptions and invoices name the version that they use.</summary>
/// <param name="Version">1 for the first, then without a gap.</param>
public sealed record PlanVersionPublished(
    PlanId PlanId, int Version, string Key, PlanTerms Terms, Instant At) : PlanEvent;

public sealed record Plan(string? Key, Currency Currency, int LatestVersion, PlanTerms? LatestTerms) : IEvolve<Plan, PlanEvent>
{
    public static Plan Initial => new(Key: null, Currency: default, LatestVersion: 0, LatestTerms: null);

    public static StreamId Stream(PlanId plan) => new(TenantId.Operator.Value, "plan", plan.Value);

    public static Plan Evolve(Plan plan, PlanEvent @event) => @event switch
    {
        PlanVersionPublished it => new(it.Key, it.Terms.Currency, it.Version, it.Terms),
        _ => throw new UnreachableException($"Plan does not know {@event.GetType().Name}."),
    };
}
