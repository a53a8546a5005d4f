using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Taxes;

/// <summary>Where and how a tenant is taxed; <see cref="TaxProfileTerms"/> says what the terms mean.</summary>
/// <param name="Earlier">What was set before, oldest first.</param>
public sealed record TaxProfileView(TaxProfileTerms Profile, Instant SetAt, IReadOnlyList<TaxProfileView.EarlierProfile> Earlier)
{
    public const string Table = "tax_profiles";

    public sealed record EarlierProfile(TaxProfileTerms Profile, Instant SetAt);

    /// <summary>What was set at an instant; null before there was anything.</summary>
    public TaxProfileTerms? KnownAt(Instant at) =>
        SetAt <= at ? Profile : Earlier.LastOrDefault(earlier => earlier.SetAt <= at)?.Profile;

    public static void Map(RouteGroupBuilder tenants) => tenants.MapGet("/{id}/tax-profile", Get).WithName("GetTaxProfile");

    /// <summary>Null for a tenant that is not taxed.</summary>
    public static Task<TaxProfileView?> Find(Documents documents, TenantId tenant, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, tenant.Value, Stored.Json<TaxProfileView>(), cancellation);

    private static async Task<Results<Ok<TaxProfileView>, ProblemHttpResult>> Get(
        TenantId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        (caller.IsOperator || caller.TenantId == id) && await Find(documents, id, cancellation) is { } profile
            ? TypedResults.Ok(profile)
            : Problems.NotFound("tax_profile");
}

public sealed class TaxProfileProjection : DocumentProjection<TaxProfileView, TaxProfileEvent>
{
    public override string Name => "tax_profiles";

    protected override string Table => TaxProfileView.Table;

    protected override JsonTypeInfo<TaxProfileView> Json => Stored.Json<TaxProfileView>();

    protected override TaxProfileView? Fold(TaxProfileView? view, TaxProfileEvent @event, RecordedEvent recorded) => (view, @event) switch
    {
        (null, TaxProfileSet it) => new(it.Terms, it.At, Earlier: []),
        ({ } set, TaxProfileSet it) => new(it.Terms, it.At, [.. set.Earlier, new(set.Profile, set.SetAt)]),
        _ => throw new UnreachableException($"TaxProfileView does not know {@event.GetType().Name}."),
    };
}
