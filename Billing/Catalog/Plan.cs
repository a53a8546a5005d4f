using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.Entitlements;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Catalog;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PlanVersionPublished), "plan.version_published.v1")]
public abstract record PlanEvent;

/// <summary>A version of a plan never changes: subscriptions and invoices name the version that they use.</summary>
/// <param name="Version">1 for the first, then without a gap.</param>
/// <param name="Entitlements">What subscribers may use; absent where nothing is stated.</param>
/// <param name="ProductId">What it sells; absent where that is not told apart.</param>
public sealed record PlanVersionPublished(
    PlanId PlanId, int Version, string Key, PlanTerms Terms, Instant At,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Grants? Entitlements = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null) : PlanEvent;

/// <param name="Latest">The newest version; null before the first.</param>
public sealed record Plan(PlanVersionPublished? Latest) : IEvolve<Plan, PlanEvent>
{
    public static Plan Initial => new(Latest: null);

    public int LatestVersion => Latest?.Version ?? 0;

    public static StreamId Stream(PlanId plan) => new(TenantId.Operator.Value, "plan", plan.Value);

    public static Plan Evolve(Plan plan, PlanEvent @event) => @event switch
    {
        PlanVersionPublished it => new(it),
        _ => throw new UnreachableException($"Plan does not know {@event.GetType().Name}."),
    };
}
