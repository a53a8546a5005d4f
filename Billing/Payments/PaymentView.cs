using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>One try to pay an invoice, or for credit in the wallet.</summary>
/// <param name="Target">What it pays.</param>
/// <param name="PaymentMethodId">What was charged; null for a bank transfer.</param>
/// <param name="Reference">What a bank transfer was marked with; null for a charge.</param>
/// <param name="Excess">What was received beyond what was due, and is to be paid back; zero else.</param>
/// <param name="Refunded">What was paid back.</param>
/// <param name="Code">Why it was declined; null else.</param>
public sealed record PaymentView(
    PaymentId PaymentId, PaymentTarget Target, PaymentStatus Status, Money Amount, Money Excess, Money Refunded,
    PaymentMethodId? PaymentMethodId, string? Reference, string? Code, Instant RequestedAt, Instant? ConcludedAt)
{
    public const string Table = "payments";

    public static void Map(RouteGroupBuilder payments)
    {
        payments.MapGet("/", List).WithName("ListPayments");
        payments.MapGet("/{id}", Get).WithName("GetPayment");
    }

    public static Task<PaymentView?> Find(Documents documents, TenantId tenant, PaymentId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<PaymentView>(), cancellation);

    private static Task<Ok<Page<PaymentView>>> List(
        [AsParameters] PageQuery page, InvoiceId? invoice_id, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<PaymentView>(
            caller.TenantId, Table, page, newestFirst: true, cancellation, "$1::text is null or data -> 'target' ->> 'invoice_id' = $1",
            Sql.Optional(invoice_id?.ToString()));

    private static async Task<Results<Ok<PaymentView>, ProblemHttpResult>> Get(
        PaymentId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } payment
            ? TypedResults.Ok(payment)
            : Problems.NotFound("payment");
}

public sealed class PaymentProjection : DocumentProjection<PaymentView, PaymentEvent>
{
    public override string Name => "payments";

    protected override string Table => PaymentView.Table;

    protected override JsonTypeInfo<PaymentView> Json => Stored.Json<PaymentView>();

    protected override PaymentView? Fold(PaymentView? view, PaymentEvent @event, RecordedEvent recorded) => (view, @event) switch
    {
        (null, PaymentRequested it) => new(
            it.PaymentId, it.Target, PaymentStatus.Pending, it.Amount, Excess: Money.Zero(it.Amount.Currency),
            Refunded: Money.Zero(it.Amount.Currency), it.PaymentMethodId, Reference: null, Code: null, it.At, ConcludedAt: null),
        (null, PaymentRecorded it) => new(
            it.PaymentId, new InvoiceTarget(it.InvoiceId), PaymentStatus.Pending, it.Amount, Excess: Money.Zero(it.Amount.Currency),
            Refunded: Money.Zero(it.Amount.Currency), PaymentMethodId: null, it.Reference, Code: null, it.ReceivedAt, ConcludedAt: null),
        ({ } payment, PaymentSucceeded it) => payment with
        {
            Status = PaymentStatus.Succeeded,
            Excess = it.Excess,
            Code = null,
            ConcludedAt = it.At,
        },
        ({ } payment, PaymentDeclined it) => payment with { Status = PaymentStatus.Declined, Code = it.Code, ConcludedAt = it.At },
        ({ } payment, RefundSucceeded it) => payment with { Refunded = payment.Refunded + it.Amount },
        ({ } payment, RefundEvent) => payment,
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };
}
