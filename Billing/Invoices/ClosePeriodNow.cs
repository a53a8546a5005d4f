using Microsoft.AspNetCore.Http.HttpResults;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// Ends the running period now and answers with its invoice; the next period begins at once. Periods whose end has already come
/// are closed first, each with an invoice of its own.
/// </summary>
public static class ClosePeriodNow
{
    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/{id}/close-period", Handle).WithName(nameof(ClosePeriodNow)).ForAdmins().Idempotent();

    private static async Task<Results<Created<InvoiceView>, ProblemHttpResult>> Handle(
        SubscriptionId id, Caller caller, RequestId requestId, InvoicePeriod invoices, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        var now = await clock.Now(caller.TenantId, cancellation);
        var outcome = await invoices.CloseNow(caller.TenantId, id, now, requestId.Value, caller.Cause, cancellation);
        if (outcome.Refusal is { } refusal)
            return refusal.ToProblem();

        var invoice = await InvoiceView.Find(documents, caller.TenantId, outcome.InvoiceId!.Value, cancellation);
        return TypedResults.Created($"/v1/invoices/{invoice!.InvoiceId}", invoice);
    }
}
