using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>A payment method as its tenant sees it. The newest attached one is charged.</summary>
public sealed record PaymentMethodView(PaymentMethodId PaymentMethodId, string Gateway, Instant AttachedAt, Instant? DetachedAt)
{
    public static void Map(RouteGroupBuilder methods) => methods.MapGet("/", List).WithName("ListPaymentMethods");

    private static Task<Ok<Page<PaymentMethodView>>> List(
        [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<PaymentMethodRecord, PaymentMethodView>(
            caller.TenantId, PaymentMethodRecord.Table, page, newestFirst: true, method => method.ToView(), cancellation);
}

/// <summary>A payment method with its token, which no answer shows.</summary>
public sealed record PaymentMethodRecord(
    PaymentMethodId PaymentMethodId, string Gateway, string Token, Instant AttachedAt, Instant? DetachedAt)
{
    public const string Table = "payment_methods";

    public PaymentMethodView ToView() => new(PaymentMethodId, Gateway, AttachedAt, DetachedAt);

    public static Task<PaymentMethodRecord?> Find(
        Documents documents, TenantId tenant, PaymentMethodId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<PaymentMethodRecord>(), cancellation);

    /// <summary>The one to charge: the newest that is attached; null where there is none.</summary>
    public static async Task<PaymentMethodId?> Default(BillingDatabase database, TenantId tenant, CancellationToken cancellation) =>
        await database.Read(
            tenant,
            """
            select id from billing.payment_methods
            where tenant_id = $1 and data ->> 'detached_at' is null order by version desc limit 1
            """,
            row => new PaymentMethodId(row.GetGuid(0)),
            cancellation,
            Sql.P(tenant.Value)) is [var newest] ? newest : null;
}

public sealed class PaymentMethodProjection : DocumentProjection<PaymentMethodRecord, PaymentMethodEvent>
{
    public override string Name => "payment_methods";

    protected override string Table => PaymentMethodRecord.Table;

    protected override JsonTypeInfo<PaymentMethodRecord> Json => Stored.Json<PaymentMethodRecord>();

    protected override PaymentMethodRecord? Fold(
        PaymentMethodRecord? view, PaymentMethodEvent @event, RecordedEvent recorded) => (view, @event) switch
        {
            (_, PaymentMethodAttached it) => new(it.PaymentMethodId, it.Gateway, it.Token, it.At, DetachedAt: null),
            ({ } attached, PaymentMethodDetached it) => attached with { DetachedAt = it.At },
            _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
        };
}
