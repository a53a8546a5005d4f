using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.CreditNotes;

/// <summary>The credit note as people read it; it never changes.</summary>
/// <param name="Lines">With their tax.</param>
/// <param name="TaxTotal">What of the total is tax.</param>
/// <param name="Total">The sum of the lines.</param>
/// <param name="ReducesDue">What of it is no longer owed.</param>
/// <param name="ToWallet">What of it became credit, in a grant that bears the note's id.</param>
/// <param name="ToRefund">What of it is paid back, by refunds that name the note.</param>
public sealed record CreditNoteView(
    CreditNoteId CreditNoteId, string Number, InvoiceId InvoiceId, string InvoiceNumber, IReadOnlyList<CreditedLine> Lines,
    Money TaxTotal, Money Total, Money ReducesDue, Money ToWallet, Money ToRefund, string Reason, Instant IssuedAt)
{
    public const string Table = "credit_notes";

    public static void Map(RouteGroupBuilder creditNotes)
    {
        creditNotes.MapGet("/", List).WithName("ListCreditNotes");
        creditNotes.MapGet("/{id}", Get).WithName("GetCreditNote");
    }

    public static Task<CreditNoteView?> Find(
        Documents documents, TenantId tenant, CreditNoteId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<CreditNoteView>(), cancellation);

    private static Task<Ok<Page<CreditNoteView>>> List(
        [AsParameters] PageQuery page, InvoiceId? invoice_id, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<CreditNoteView>(
            caller.TenantId, Table, page, newestFirst: true, cancellation, "$1::text is null or data ->> 'invoice_id' = $1",
            Sql.Optional(invoice_id?.ToString()));

    private static async Task<Results<Ok<CreditNoteView>, ProblemHttpResult>> Get(
        CreditNoteId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } note
            ? TypedResults.Ok(note)
            : Problems.NotFound("credit_note");
}

/// <summary>Credit notes are events of their invoices, each a document of its own.</summary>
public sealed class CreditNoteProjection : DocumentProjection<CreditNoteView, CreditNoteIssued>
{
    public override string Name => CreditNoteView.Table;

    protected override string Table => CreditNoteView.Table;

    protected override JsonTypeInfo<CreditNoteView> Json => Stored.Json<CreditNoteView>();

    protected override Guid KeyOf(RecordedEvent recorded) => ((CreditNoteIssued)recorded.Data).CreditNoteId.Value;

    protected override CreditNoteView? Fold(CreditNoteView? view, CreditNoteIssued it, RecordedEvent recorded) => new(
        it.CreditNoteId, it.Number, it.InvoiceId, it.InvoiceNumber, it.Lines, it.TaxTotal, it.Total, it.ReducesDue, it.ToWallet,
        it.ToRefund, it.Reason, it.At);
}
