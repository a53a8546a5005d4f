using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// Takes back an invoice of which nothing is paid. It keeps its number, and the usage that it counted stays counted: no later
/// invoice bills it again. What should be owed all the same is corrected first and invoiced anew.
/// </summary>
public static class VoidInvoice
{
    /// <param name="Reason">For people, 1 to 500 characters.</param>
    public sealed record Reasoned(string Reason);

    public static Decision<InvoiceEvent> Decide(string reason, Instant at, Invoice invoice)
    {
        if (invoice.Status == InvoiceStatus.Void)
            return [];
        if (OwedInvoice.Refuse(invoice) is { } refusal)
            return refusal;
        if (invoice.Settlement!.AmountPaid.MinorUnits > 0)
            return Refusal.Because("invoice.partly_paid", "Part of the invoice is paid; give that back by a credit note.");
        if (invoice.Status == InvoiceStatus.Uncollectible)
            return Refusal.Because("invoice.uncollectible", "The invoice is written off.");
        // Credit was used or given, or part of it is taken back already.
        if (invoice.MovesCredit || invoice.CreditNotes.Count > 0)
            return Refusal.Because("invoice.moves_credit", "The invoice uses or gives credit; correct it by a credit note.");

        return [new InvoiceVoided(invoice.Total, invoice.Amounts, reason, at)];
    }

    public static void Map(RouteGroupBuilder invoices) =>
        invoices.MapPost("/{id}/void", Handle).WithName(nameof(VoidInvoice)).ForOperators().Idempotent();

    private static Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Handle(
        InvoiceId id, Reasoned request, Caller caller, ChangeInvoice change, CancellationToken cancellation)
    {
        Check(request);
        return change.Apply(caller, id, (at, invoice) => Decide(request.Reason, at, invoice), cancellation);
    }

    /// <exception cref="InvalidRequestException">No reason, or too long a one.</exception>
    public static void Check(Reasoned request) => new FieldErrors()
        .Require(
            !string.IsNullOrWhiteSpace(request.Reason) && request.Reason.Length <= 500
                && !request.Reason.Contains('\0', StringComparison.Ordinal),
            "reason", "A reason of 1 to 500 characters is needed.")
        .ThrowIfAny();
}
