using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Taxes;

/// <summary>
/// Says where and how a tenant is taxed, on every invoice that is made from now on. For operators: whoever owes tax does not decide
/// that it owes none.
/// </summary>
public static class SetTaxProfile
{
    /// <param name="Jurisdiction">ISO 3166: a country or one of its parts, for example <c>DE</c> or <c>US-CA</c>.</param>
    /// <param name="TaxId">The tenant's own, at most 50 characters; needed for a reverse charge.</param>
    /// <param name="Reason">Why it is exempt, at most 200 characters; stands on its invoices.</param>
    public sealed record NewTaxProfile(
        string Jurisdiction, string? TaxId = null, TaxTreatment Treatment = TaxTreatment.Taxable, string? Reason = null)
    {
        public TaxProfileTerms ToTerms() => new(Jurisdiction, TaxId, Treatment, Reason);
    }

    /// <param name="JurisdictionRated">It has a rate.</param>
    public sealed record Command(TaxProfileTerms Terms, bool JurisdictionRated, Instant At);

    public static Decision<TaxProfileEvent> Decide(Command command, TaxProfile profile) => command.Terms switch
    {
        var same when same == profile.Terms => [],
        { Treatment: TaxTreatment.Taxable } when !command.JurisdictionRated => Refusal.Because(
            "tax_profile.jurisdiction_unrated", "The jurisdiction has no tax rate; publish one first.", "jurisdiction"),
        { Treatment: TaxTreatment.ReverseCharge, TaxId: null } => Refusal.Because(
            "tax_profile.tax_id_missing", "A reverse charge needs the tenant's tax id.", "tax_id"),
        var terms => [new TaxProfileSet(terms, command.At)],
    };

    public static void Map(RouteGroupBuilder tenants) =>
        tenants.MapPut("/{id}/tax-profile", Handle).WithName(nameof(SetTaxProfile)).ForOperators().Idempotent();

    private static async Task<Results<Ok<TaxProfileView>, ProblemHttpResult>> Handle(
        TenantId id, NewTaxProfile request, Caller caller, EventStore.EventStore store, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(Jurisdictions.IsValid(request.Jurisdiction), "jurisdiction", Jurisdictions.Rule)
            .Require(
                request.TaxId is null || (!string.IsNullOrWhiteSpace(request.TaxId) && request.TaxId.Length <= 50), "tax_id",
                "1 to 50 characters, or absent.")
            .Require(
                request.Reason is null || (!string.IsNullOrWhiteSpace(request.Reason) && request.Reason.Length <= 200), "reason",
                "1 to 200 characters, or absent.")
            .ThrowIfAny();
        if (await TenantView.Find(documents, id, cancellation) is null)
            return Problems.NotFound("tenant");

        var at = await clock.Now(id, cancellation);
        var rates = await TaxRateView.Of(documents, request.Jurisdiction, cancellation);
        var decided = await store.Decide<TaxProfile, TaxProfileEvent>(
            TaxProfile.Stream(id), profile => Decide(new(request.ToTerms(), rates.Count > 0, at), profile), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await TaxProfileView.Find(documents, id, cancellation))!);
    }
}
