using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.CreditNotes;
using Platform.Billing.Rating;
using Platform.Billing.Taxes;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// The invoice as people read it: one for all subscriptions of a tenant whose periods end at one instant. Rebuilt from events alone,
/// so it never asks a clock or another view.
/// </summary>
/// <param name="Number">Null while it is a draft.</param>
/// <param name="BillingPeriod">From the earliest start of the subscriptions' periods to their end.</param>
/// <param name="CustomerTaxId">The tenant's own, where it is taxed and has one.</param>
/// <param name="Subtotal">Sum of the lines.</param>
/// <param name="Discounts">What coupons take off, in the order in which they do.</param>
/// <param name="Taxes">Per rate, on the lines less their discounts.</param>
/// <param name="TaxTotal">Tax that is added to the lines.</param>
/// <param name="TaxIncluded">Tax that the lines contain.</param>
/// <param name="Total">
/// What is owed: the subtotal less the discounts, with the tax that is added; zero where the lines take back more than they charge.
/// </param>
/// <param name="ToWallet">What the lines take back beyond what they charge: it is credit now, in a grant that bears the invoice's id.</param>
/// <param name="CreditApplied">What credit paid of the total when the invoice was finalized.</param>
/// <param name="CreditParts">Which grants it came from; they sum to <paramref name="CreditApplied"/>.</param>
/// <param name="Progressive">Use of a running period had come to its plan's threshold; absent where it had not.</param>
/// <param name="UsageTree">
/// The usage events that the invoice counts, by which each can be proved (<c>usage-proof</c>); null while it is a draft.
/// </param>
/// <param name="DueAt">Payment is due before then; null while it is a draft, like the amounts.</param>
/// <param name="AmountDue">What can still be paid.</param>
public sealed record InvoiceView(
    InvoiceId InvoiceId, string? Number, InvoiceStatus Status, InvoiceView.InvoicedPeriod BillingPeriod,
    IReadOnlyList<InvoiceView.BilledSubscription> Subscriptions, IReadOnlyList<InvoiceView.InvoiceLine> Lines, Money Subtotal,
    IReadOnlyList<InvoiceView.InvoiceDiscount> Discounts, Money DiscountTotal, IReadOnlyList<InvoiceView.InvoiceTax> Taxes, Money TaxTotal,
    Money TaxIncluded, Money Total, Money ToWallet, Money CreditApplied, IReadOnlyList<CreditPart> CreditParts, string? CustomerTaxId,
    UsageTreeHead? UsageTree, Instant DraftedAt, Instant? FinalizedAt,
    Instant? DueAt = null, Money? AmountPaid = null, Money? AmountDue = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Progressive = false)
{
    public const string Table = "invoices";

    /// <param name="Start">Included.</param>
    /// <param name="End">Excluded.</param>
    public sealed record InvoicedPeriod(Instant Start, Instant End, string TimeZone);

    /// <param name="PlanId">The plan that the period ran on.</param>
    /// <param name="PeriodNumber">1 for the subscription's first period.</param>
    /// <param name="PeriodStart">Included.</param>
    /// <param name="PeriodEnd">Excluded.</param>
    public sealed record BilledSubscription(
        SubscriptionId SubscriptionId, PlanId PlanId, int PlanVersion, int PeriodNumber, Instant PeriodStart, Instant PeriodEnd);

    /// <summary>What a redeemed coupon takes off.</summary>
    /// <param name="Lines">The lines that it takes from; their parts sum to the amount.</param>
    public sealed record InvoiceDiscount(
        CouponRedemptionId RedemptionId, CouponId CouponId, string Code, string Description, Money Amount, IReadOnlyList<LinePart> Lines);

    /// <summary>Tax by one rate.</summary>
    /// <param name="Rate">A fraction: 0.19 is 19 %.</param>
    /// <param name="Inclusive">The lines contain the tax; else it is added to them.</param>
    /// <param name="Reason">Why nothing is owed; null where a rate says what is.</param>
    /// <param name="TaxRateIds">The rates that gave it; several where they are equal, none where nothing is owed for a reason.</param>
    /// <param name="TaxableAmount">Of the lines less their discounts, without the tax that they contain.</param>
    /// <param name="Lines">The lines that are taxed by it; their parts sum to the amount.</param>
    public sealed record InvoiceTax(
        string Jurisdiction, decimal Rate, bool Inclusive, TaxTreatment Treatment, string? Reason,
        IReadOnlyList<TaxRateId> TaxRateIds, Money TaxableAmount, Money Amount, IReadOnlyList<LinePart> Lines);

    /// <summary>The tax of a line; null where it is not taxed.</summary>
    public InvoiceTax? TaxOf(InvoiceLine line) => TaxOf(line.Number);

    /// <param name="line">The number of the line.</param>
    public InvoiceTax? TaxOf(int line) => Taxes.FirstOrDefault(tax => tax.Lines.Any(part => part.Line == line));

    /// <summary>What a line costs, less its discounts and without tax.</summary>
    public Money NetOf(InvoiceLine line) =>
        line.Amount - line.DiscountAmount - (TaxOf(line) is { Inclusive: true } ? line.TaxAmount : Money.Zero(line.Amount.Currency));

    /// <param name="UnitAmount">Exact price of one unit in the invoice's currency; null where the charge has no single one.</param>
    /// <param name="WindowStart">Start of the use that the line is for, included.</param>
    /// <param name="WindowEnd">Its end, excluded.</param>
    /// <param name="SubscriptionId">What it is owed for; absent where it is owed for no single one.</param>
    /// <param name="PlanId">The plan that the window ran on.</param>
    /// <param name="DiscountAmount">What coupons take off it; zero or above.</param>
    /// <param name="TaxAmount">Its part of the tax by its rate, added to it or contained in it.</param>
    /// <param name="TaxCategory">The category of products by which it is taxed; absent for <c>standard</c>.</param>
    /// <param name="Breakdown">How the amount came about, summing to it before rounding; absent where it is quantity times unit amount.</param>
    /// <param name="ProductId">What is sold; absent where that is not told apart.</param>
    /// <param name="AddOnId">What the line is for; absent where that is no add-on, and in lines from before they named theirs.</param>
    public sealed record InvoiceLine(
        int Number, LineKind Kind, string Description, string? Meter, decimal Quantity, string Unit, decimal? UnitAmount,
        Money Amount, Money DiscountAmount, Money TaxAmount, Instant WindowStart, Instant WindowEnd,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SubscriptionId? SubscriptionId = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PlanId? PlanId = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? PlanVersion = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<RatingStep>? Breakdown = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TaxCategory = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] AddOnId? AddOnId = null);

    public static InvoiceView? Fold(InvoiceView? view, InvoiceEvent @event) => (view, @event) switch
    {
        (null, InvoiceDrafted it) => new(
            it.InvoiceId, Number: null, InvoiceStatus.Draft, new(it.PeriodStart, it.PeriodEnd, it.TimeZone),
            [
                .. it.Subscriptions.Select(of => new BilledSubscription(
                    of.SubscriptionId, of.PlanId, of.PlanVersion, of.PeriodNumber, of.PeriodStart, of.PeriodEnd)),
            ],
            Lines: [], Subtotal: Money.Zero(it.Currency), Discounts: [], DiscountTotal: Money.Zero(it.Currency), Taxes: [],
            TaxTotal: Money.Zero(it.Currency), TaxIncluded: Money.Zero(it.Currency), Total: Money.Zero(it.Currency),
            ToWallet: Money.Zero(it.Currency), CreditApplied: Money.Zero(it.Currency), CreditParts: [], CustomerTaxId: null,
            UsageTree: null, it.At, FinalizedAt: null, Progressive: it.Progressive),
        ({ } draft, InvoiceLineAdded it) => draft with
        {
            Lines =
            [
                .. draft.Lines,
                new(
                    it.Line, it.Kind, it.Description, it.Meter, it.Quantity, it.Unit, it.UnitAmount, it.Amount,
                    DiscountAmount: Money.Zero(it.Amount.Currency), TaxAmount: Money.Zero(it.Amount.Currency), it.WindowStart,
                    it.WindowEnd, it.SubscriptionId, it.PlanId, it.PlanVersion, it.Breakdown, it.TaxCategory, it.ProductId, it.AddOnId),
            ],
            Subtotal = draft.Subtotal + it.Amount,
            Total = draft.Total + it.Amount,
        },
        ({ } draft, InvoiceDiscountAdded it) => draft with
        {
            Lines = WithParts(draft.Lines, it.Lines, (line, part) => line with { DiscountAmount = line.DiscountAmount + part }),
            Discounts = [.. draft.Discounts, new(it.RedemptionId, it.CouponId, it.Code, it.Description, it.Amount, it.Lines)],
            DiscountTotal = draft.DiscountTotal + it.Amount,
            Total = draft.Total - it.Amount,
        },
        ({ } draft, InvoiceTaxAdded it) => draft with
        {
            Lines = WithParts(draft.Lines, it.Lines, (line, part) => line with { TaxAmount = part }),
            Taxes =
            [
                .. draft.Taxes,
                new(it.Jurisdiction, it.Rate, it.Inclusive, it.Treatment, it.Reason, it.TaxRateIds, it.TaxableAmount, it.Amount, it.Lines),
            ],
            TaxTotal = it.Inclusive ? draft.TaxTotal : draft.TaxTotal + it.Amount,
            TaxIncluded = it.Inclusive ? draft.TaxIncluded + it.Amount : draft.TaxIncluded,
            Total = it.Inclusive ? draft.Total : draft.Total + it.Amount,
            CustomerTaxId = it.CustomerTaxId,
        },
        ({ } draft, InvoiceFinalized it) => draft with
        {
            Number = it.Number,
            Status = InvoiceStatus.Finalized,
            Total = it.Total,
            ToWallet = it.ToWallet ?? Money.Zero(it.Total.Currency),
            CreditApplied = it.Total - it.AmountDue,
            CreditParts = it.CreditApplied ?? [],
            UsageTree = it.UsageTree,
            FinalizedAt = it.At,
            DueAt = it.Terms.DueAt,
            AmountPaid = Money.Zero(it.Total.Currency),
            AmountDue = it.AmountDue,
        },
        ({ } owed, SettlementEvent it) => Settle(owed with { Status = Settlement.StatusAfter(owed.Status, it) }, it),
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };

    private static InvoiceView Settle(InvoiceView owed, SettlementEvent @event) => @event switch
    {
        InvoicePaymentApplied it => owed with
        {
            AmountPaid = owed.AmountPaid!.Value + it.Amount,
            AmountDue = owed.AmountDue!.Value - it.Amount,
        },
        CreditNoteIssued it => owed with { AmountDue = owed.AmountDue!.Value - it.ReducesDue },
        InvoiceVoided => owed with { AmountDue = Money.Zero(owed.Total.Currency) },
        _ => owed,
    };

    private static InvoiceLine[] WithParts(
        IReadOnlyList<InvoiceLine> lines, IReadOnlyList<LinePart> parts, Func<InvoiceLine, Money, InvoiceLine> with)
    {
        InvoiceLine[] changed = [.. lines];
        foreach (var (line, amount) in parts)
            changed[line - 1] = with(changed[line - 1], amount);
        return changed;
    }

    public static void Map(RouteGroupBuilder invoices)
    {
        invoices.MapGet("/", List).WithName("ListInvoices");
        invoices.MapGet("/{id}", Get).WithName("GetInvoice");
    }

    public static Task<InvoiceView?> Find(Documents documents, TenantId tenant, InvoiceId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<InvoiceView>(), cancellation);

    private static readonly string[] statuses =
    [
        .. Enum.GetValues<InvoiceStatus>().Where(status => status > InvoiceStatus.Draft)
            .Select(status => JsonNamingPolicy.SnakeCaseLower.ConvertName(status.ToString())),
    ];

    private static Task<Ok<Page<InvoiceView>>> List(
        [AsParameters] PageQuery page, SubscriptionId? subscription_id, string? status, Caller caller, Documents documents,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(
                status is not ("draft" or "grace"), "status",
                "An invoice that is still to be made is not stored: GET /v1/invoices/upcoming lists those in draft and in grace.")
            .Require(status is null or "draft" or "grace" || statuses.Contains(status), "status", $"One of {string.Join(", ", statuses)}.")
            .ThrowIfAny();
        return documents.PageOf<InvoiceView>(
            caller.TenantId, Table, page, newestFirst: true, cancellation,
            """
            ($1::text is null
                or data @> jsonb_build_object('subscriptions', jsonb_build_array(jsonb_build_object('subscription_id', $1::text))))
            and ($2::text is null or data ->> 'status' = $2)
            """,
            Sql.Optional(subscription_id?.ToString()), Sql.Optional(status));
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
