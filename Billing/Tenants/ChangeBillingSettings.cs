using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Tenants;

/// <summary>Sets how a tenant is invoiced and pays, for invoices that are finalized from now on.</summary>
public static class ChangeBillingSettings
{
    /// <param name="RetryDays">1, 3, 5 and 7 if absent.</param>
    public sealed record NewSettings(
        int GraceDays, int PaymentTermsDays, CollectionMethod Collection, IReadOnlyList<int>? RetryDays = null);

    public static Decision<TenantEvent> Decide(BillingSettings settings, Instant at, Tenant tenant) => tenant switch
    {
        { Exists: false } => Refusal.Because("tenant.not_found", "There is no such tenant."),
        _ when tenant.Settings == settings => [],
        _ => [new BillingSettingsChanged(settings, at)],
    };

    public static void Map(RouteGroupBuilder tenants) =>
        tenants.MapPost("/{id}/billing-settings", Handle).WithName(nameof(ChangeBillingSettings)).ForOperators().Idempotent();

    /// <exception cref="InvalidRequestException">Every field that is wrong.</exception>
    public static void Validate(NewSettings request) => new FieldErrors()
        .Require(request.GraceDays is >= 0 and <= 30, "grace_days", "0 to 30 days.")
        .Require(request.PaymentTermsDays is >= 0 and <= 365, "payment_terms_days", "0 to 365 days.")
        .Require(
            request.RetryDays is null || (request.RetryDays.Count <= 10 && request.RetryDays.All(day => day is >= 1 and <= 365)
                && request.RetryDays.Zip(request.RetryDays.Skip(1)).All(pair => pair.First < pair.Second)),
            "retry_days", "At most 10 days of 1 to 365, each later than the one before.")
        .ThrowIfAny();

    private static async Task<Results<Ok<TenantView>, ProblemHttpResult>> Handle(
        TenantId id, NewSettings request, Caller caller, EventStore.EventStore store, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        Validate(request);
        var settings = new BillingSettings(
            request.GraceDays, request.PaymentTermsDays, request.Collection, request.RetryDays ?? BillingSettings.Default.RetryDays);
        var at = await clock.Now(id, cancellation);
        var decided = await store.Decide<Tenant, TenantEvent>(
            Tenant.Stream(id), tenant => Decide(settings, at, tenant), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await TenantView.Find(documents, id, cancellation))!);
    }
}
