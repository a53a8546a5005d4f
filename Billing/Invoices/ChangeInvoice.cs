using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>Records a decision about an invoice that is owed, and what it means for the tenant's standing, in one transaction.</summary>
public sealed class ChangeInvoice(EventStore.EventStore store, Documents documents, TenantClock clock)
{
    public async Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Apply(
        Caller caller, InvoiceId id, Func<Instant, Invoice, Decision<InvoiceEvent>> decide, CancellationToken cancellation)
    {
        var tenant = caller.TenantId;
        var refusal = await store.Transact(
            tenant.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var at = await clock.Now(tenant, token);
                var decided = await transaction.Decide<Invoice, InvoiceEvent>(
                    Invoice.Stream(tenant, id), invoice => decide(at, invoice), token);
                if (decided.Refusal is null)
                    await TenantStanding.Reconsider(transaction, tenant, id, decided.State, at, token);
                return decided.Refusal;
            },
            cancellation);
        return refusal is not null
            ? refusal.ToProblem()
            : TypedResults.Ok((await InvoiceView.Find(documents, tenant, id, cancellation))!);
    }
}
