using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// Gives up an invoice in the books: what is due becomes bad debt and nobody duns it any more. The tenant may still pay it, and a tenant
/// that was suspended for it stays so until it does.
/// </summary>
public static class WriteOffInvoice
{
    public static Decision<InvoiceEvent> Decide(string reason, Instant at, Invoice invoice)
    {
        if (invoice.Status == InvoiceStatus.Uncollectible)
            return [];
        return OwedInvoice.Refuse(invoice) is { } refusal
            ? refusal
            : [new InvoiceMarkedUncollectible(invoice.Settlement!.AmountDue, reason, at)];
    }

    public static void Map(RouteGroupBuilder invoices) =>
        invoices.MapPost("/{id}/write-off", Handle).WithName(nameof(WriteOffInvoice)).ForOperators().Idempotent();

    private static Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Handle(
        InvoiceId id, VoidInvoice.Reasoned request, Caller caller, ChangeInvoice change, CancellationToken cancellation)
    {
        VoidInvoice.Check(request);
        return change.Apply(caller, id, (at, invoice) => Decide(request.Reason, at, invoice), cancellation);
    }
}
