using System.Diagnostics;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>The invoice as people read it. Rebuilt from events alone, so it never asks a clock or another view.</summary>
/// <param name="Number">Null while it is a draft.</param>
/// <param name="Subtotal">Sum of the lines.</param>
/// <param name="Total">What is owed; equal to the subtotal as long as there are neither discounts nor tax.</param>
/// <param name="UsageTree">
/// The usage events that the invoice counts, by which each can be proved (<c>usage-proof</c>); null while it is a draft.
/// </param>
public sealed record InvoiceView(
    InvoiceId InvoiceId, string? Number, InvoiceStatus Status, SubscriptionId SubscriptionId, PlanId PlanId, int PlanVersion,
    InvoiceView.InvoicedPeriod BillingPeriod, IReadOnlyList<InvoiceView.InvoiceLine> Lines, Money Subtotal, Money Total,
    UsageTreeHead? UsageTree, Instant DraftedAt, Instant? FinalizedAt)
{
    public const string Table = "invoices";

    /// <param name="Start">Included.</param>
    /// <param name="End">Excluded.</param>
    public sealed record InvoicedPeriod(int Number, Instant Start, Instant End, string TimeZone);

    /// <param name="UnitAmount">Exact price of one unit in the invoice's currency; null where the charge has no single one.</param>
    /// <param name="WindowStart">Start of the use that the line is for, included.</param>
    /// <param name="WindowEnd">Its end, excluded.</param>
    /// <param name="Breakdown">How the amount came about, summing to it before rounding; absent where it is quantity times unit amount.</param>
    /// <param name="PlanId">The plan that the window ran on, with its version before; absent where it is the invoice's.</param>
    public sealed record InvoiceLine(
        int Number, LineKind Kind, string Description, string? Meter, decimal Quantity, string Unit, decimal? UnitAmount,
        Money Amount, Instant WindowStart, Instant WindowEnd, int PlanVersion,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<RatingStep>? Breakdown = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PlanId? PlanId = null);

    public static InvoiceView? Fold(InvoiceView? view, InvoiceEvent @event) => (view, @event) switch
    {
        (null, InvoiceDrafted it) => new(
            it.InvoiceId, Number: null, InvoiceStatus.Draft, it.SubscriptionId, it.PlanId, it.PlanVersion,
            new(it.PeriodNumber, it.PeriodStart, it.PeriodEnd, it.TimeZone), [], Money.Zero(it.Currency), Money.Zero(it.Currency),
            UsageTree: null, it.At, FinalizedAt: null),
        ({ } draft, InvoiceLineAdded it) => draft with
        {
            Lines =
            [
                .. draft.Lines,
                new(
                    it.Line, it.Kind, it.Description, it.Meter, it.Quantity, it.Unit, it.UnitAmount, it.Amount, it.WindowStart,
                    it.WindowEnd, it.PlanVersion, it.Breakdown, it.PlanId),
            ],
            Subtotal = draft.Subtotal + it.Amount,
            Total = draft.Total + it.Amount,
        },
        ({ } draft, InvoiceFinalized it) => draft with
        {
            Number = it.Number,
            Status = InvoiceStatus.Finalized,
            Total = it.Total,
            UsageTree = it.UsageTree,
            FinalizedAt = it.At,
        },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };

    public static void Map(RouteGroupBuilder invoices)
    {
        invoices.MapGet("/", List).WithName("ListInvoices");
        invoices.MapGet("/{id}", Get).WithName("GetInvoice");
    }

    public static Task<InvoiceView?> Find(Documents documents, TenantId tenant, InvoiceId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<InvoiceView>(), cancellation);

    private static async Task<Ok<Page<InvoiceView>>> List(
        [AsParameters] PageQuery page, SubscriptionId? subscription_id, Caller caller, Documents documents,
        CancellationToken cancellation)
    {
        var (where, parameters) = subscription_id is { } of
            ? ("data ->> 'subscription_id' = $1", new NpgsqlParameter[] { Sql.P(of.ToString()) })
            : (null, []);
        var rows = await documents.List(
            caller.TenantId.Value, Table, Stored.Json<InvoiceView>(), page.Size + 1, page.After, newestFirst: true,
            cancellation, where, parameters);
        return TypedResults.Ok(page.Of([.. rows.Select(row => row.View)], invoice => invoice.InvoiceId.Value));
    }

    private static async Task<Results<Ok<InvoiceView>, ProblemHttpResult>> Get(
        InvoiceId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } invoice
            ? TypedResults.Ok(invoice)
            : Problems.NotFound("invoice");
}

public sealed class InvoiceProjection : DocumentProjection<InvoiceView, InvoiceEvent>
{
    public override string Name => "invoices";

    protected override string Table => InvoiceView.Table;

    protected override JsonTypeInfo<InvoiceView> Json => Stored.Json<InvoiceView>();

    protected override InvoiceView? Fold(InvoiceView? view, InvoiceEvent @event, RecordedEvent recorded) =>
        InvoiceView.Fold(view, @event);
}
