using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>One try to pay back what a payment brought.</summary>
/// <param name="CreditNoteId">The note that took the amount back from the invoice; null where no note did.</param>
/// <param name="Code">Why it failed; null else.</param>
/// <param name="CheckAt">When the gateway is asked for the outcome; null once it is known.</param>
public sealed record RefundView(
    RefundId RefundId, PaymentId PaymentId, CreditNoteId? CreditNoteId, RefundStatus Status, Money Amount, string Reason, string? Code,
    Instant RequestedAt, Instant? CheckAt, Instant? ConcludedAt)
{
    public const string Table = "refunds";

    public static void Map(RouteGroupBuilder refunds)
    {
        refunds.MapGet("/", List).WithName("ListRefunds");
        refunds.MapGet("/{id}", Get).WithName("GetRefund");
    }

    public static Task<RefundView?> Find(Documents documents, TenantId tenant, RefundId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<RefundView>(), cancellation);

    private static Task<Ok<Page<RefundView>>> List(
        [AsParameters] PageQuery page, PaymentId? payment_id, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<RefundView>(
            caller.TenantId, Table, page, newestFirst: true, cancellation, "$1::text is null or data ->> 'payment_id' = $1",
            Sql.Optional(payment_id?.ToString()));

    private static async Task<Results<Ok<RefundView>, ProblemHttpResult>> Get(
        RefundId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } refund
            ? TypedResults.Ok(refund)
            : Problems.NotFound("refund");
}

/// <summary>Refunds are events of their payments, each a document of its own.</summary>
public sealed class RefundProjection : DocumentProjection<RefundView, RefundEvent>
{
    public override string Name => RefundView.Table;

    protected override string Table => RefundView.Table;

    protected override JsonTypeInfo<RefundView> Json => Stored.Json<RefundView>();

    protected override Guid KeyOf(RecordedEvent recorded) => ((RefundEvent)recorded.Data).RefundId.Value;

    protected override RefundView? Fold(RefundView? view, RefundEvent @event, RecordedEvent recorded) => (view, @event) switch
    {
        (null, RefundRequested it) => new(
            it.RefundId, it.PaymentId, it.CreditNoteId, RefundStatus.Pending, it.Amount, it.Reason, Code: null, it.At, it.CheckAt,
            ConcludedAt: null),
        ({ } refund, RefundUnresolved it) => refund with { CheckAt = it.CheckAt },
        ({ } refund, RefundSucceeded it) =>
            refund with { Status = RefundStatus.Succeeded, Code = null, CheckAt = null, ConcludedAt = it.At },
        ({ } refund, RefundFailed it) =>
            refund with { Status = RefundStatus.Failed, Code = it.Code, CheckAt = null, ConcludedAt = it.At },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };
}
