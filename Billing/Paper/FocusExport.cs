using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using NodaTime.Text;
using Npgsql;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Paper;

/// <summary>
/// Invoice lines as FOCUS 1.2, the FinOps Foundation's cost and usage format: one CSV row per line and one per rate of tax, in
/// constant memory. Rows of an invoice sum to its total in <c>BilledCost</c>, before what
/// credit pays of it; those of lines are less discounts and without tax. An
/// operator who acts for no tenant gets those of all live tenants.
/// </summary>
public static class FocusExport
{
    private const int PageInvoices = 200;

    // Every mandatory column of FOCUS 1.2, and those conditional ones that this platform has something to say in.
    private static readonly (string Name, Func<Row, string?> Value)[] columns =
    [
        ("BilledCost", row => Text(row.Net)),
        ("BillingAccountId", row => row.Tenant.TenantId.ToString()),
        ("BillingAccountName", row => row.Tenant.Name),
        ("BillingCurrency", row => row.Line.Amount.Currency.ToString()),
        ("BillingPeriodEnd", row => Time(row.Invoice.BillingPeriod.End)),
        ("BillingPeriodStart", row => Time(row.Invoice.BillingPeriod.Start)),
        ("ChargeCategory", row => row.Line.Kind switch
        {
            LineKind.RecurringFee or LineKind.AddOn => "Purchase",
            LineKind.Usage or LineKind.LateUsage => "Usage",
            LineKind.Tax => "Tax",
            _ => "Adjustment",
        }),
        ("ChargeClass", row => row.Line.Kind is LineKind.LateUsage ? "Correction" : null),
        ("ChargeDescription", row => row.Line.Description),
        ("ChargeFrequency", row => row.Line.Kind switch
        {
            LineKind.RecurringFee => "Recurring",
            LineKind.Usage or LineKind.LateUsage => "Usage-Based",
            _ => "One-Time",
        }),
        ("ChargePeriodEnd", row => Time(row.Line.WindowEnd)),
        ("ChargePeriodStart", row => Time(row.Line.WindowStart)),
        ("ConsumedQuantity", row => row.IsUsage ? Decimals.Format(row.Line.Quantity) : null),
        ("ConsumedUnit", row => row.IsUsage ? row.Line.Unit : null),
        ("ContractedCost", row => row.Cost),
        ("ContractedUnitPrice", row => row.UnitPrice),
        ("EffectiveCost", row => Text(row.Net)),
        ("InvoiceId", row => row.Invoice.Number),
        ("InvoiceIssuerName", row => row.Issuer),
        ("ListCost", row => row.Cost),
        ("ListUnitPrice", row => row.UnitPrice),
        ("PricingCategory", row => row.IsPriced ? "Standard" : null),
        ("PricingQuantity", row => row.IsPriced ? Decimals.Format(row.Line.Quantity) : null),
        ("PricingUnit", row => row.IsPriced ? row.Line.Unit : null),
        ("ProviderName", row => row.Issuer),
        ("PublisherName", row => row.Issuer),
        ("ServiceCategory", _ => "AI and Machine Learning"),
        ("ServiceName", _ => "Model services"),
        ("SkuId", row => row.Line.Meter ?? row.Line.PlanId?.ToString()),
        ("SkuMeter", row => row.Line.Meter),
        ("SkuPriceId", row => row.Line.PlanId is { } plan
            ? $"{plan}/{row.Line.PlanVersion}{(row.Line.Meter is { } meter ? $"/{meter}" : "")}"
            : null),
        ("SubAccountId", row => row.Line.SubscriptionId?.ToString()),
    ];

    public static void Map(RouteGroupBuilder exports) => exports.MapGet("/focus", Handle).WithName(nameof(FocusExport));

    /// <summary>Invoices finalized in [from, to).</summary>
    private static Results<PushStreamHttpResult, ProblemHttpResult> Handle(
        string? from, string? to, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation)
    {
        var (start, end) = (QueryInstant.Required(from, "from"), QueryInstant.Required(to, "to"));
        new FieldErrors().Require(start < end, "to", "to is after from.").ThrowIfAny();

        var everybody = caller.IsOperator && caller.TenantId == TenantId.Operator;
        var rows = Rows(everybody ? null : caller.TenantId, start, end, documents, InvoiceDocument.IssuerOf(settings), cancellation);
        return TypedResults.Stream(
            body => RowStream.Write(
                body, Csv.Record(columns.Select(column => column.Name)), rows,
                (output, row) => Encoding.UTF8.GetBytes(Csv.Record(columns.Select(column => column.Value(row))), output), cancellation),
            "text/csv; charset=utf-8", "focus.csv");
    }

    private static async IAsyncEnumerable<Row> Rows(
        TenantId? of, Instant from, Instant to, Documents documents, string issuer, [EnumeratorCancellation] CancellationToken cancellation)
    {
        const string within = "(data ->> 'finalized_at')::timestamptz >= $1 and (data ->> 'finalized_at')::timestamptz < $2";
        var tenants = new Dictionary<Guid, TenantView>();
        for (Guid? after = null; ;)
        {
            NpgsqlParameter[] span = [Sql.P(from), Sql.P(to)];
            var page = of is { } tenant
                ? [.. (await documents.List(
                    tenant.Value, InvoiceView.Table, Stored.Json<InvoiceView>(), PageInvoices, after, newestFirst: false, cancellation, within, span))
                    .Select(row => (Tenant: tenant.Value, row.Id, row.View))]
                : (IReadOnlyList<(Guid Tenant, Guid Id, InvoiceView View)>)await documents.ListAllTenants(
                    InvoiceView.Table, Stored.Json<InvoiceView>(), PageInvoices, after, newestFirst: false, cancellation,
                    $"{within} and {TenantView.IsLive}", span);
            foreach (var (owner, _, invoice) in page)
            {
                if (!tenants.TryGetValue(owner, out var customer))
                    tenants[owner] = customer = (await TenantView.Find(documents, new(owner), cancellation))!;
                foreach (var line in invoice.Lines.Concat(invoice.Taxes.Select(tax => Line(invoice, tax))))
                    yield return new(invoice, line, customer, issuer);
            }

            if (page.Count < PageInvoices)
                yield break;
            after = page[^1].Id;
        }
    }

    private static InvoiceView.InvoiceLine Line(InvoiceView invoice, InvoiceView.InvoiceTax tax) => new(
        Number: 0, LineKind.Tax, tax.Reason ?? $"Tax {tax.Jurisdiction} {InvoiceDocument.Percent(tax.Rate)}", Meter: null, Quantity: 1,
        Unit: "tax", UnitAmount: null, tax.Amount, DiscountAmount: Money.Zero(tax.Amount.Currency),
        TaxAmount: Money.Zero(tax.Amount.Currency), invoice.BillingPeriod.Start, invoice.BillingPeriod.End);

    private static string Text(Money money) => Decimals.Format(money.Amount);

    private static string Time(Instant at) => InstantPattern.General.Format(at);

    private sealed record Row(InvoiceView Invoice, InvoiceView.InvoiceLine Line, TenantView Tenant, string Issuer)
    {
        public bool IsUsage => Line.Kind is LineKind.Usage or LineKind.LateUsage;
        public bool IsPriced => Line.Kind is LineKind.RecurringFee or LineKind.AddOn || IsUsage;
        public string? UnitPrice => IsPriced && InvoiceDocument.NetUnitPrice(Invoice, Line) is { } each ? Decimals.Format(each) : null;
        public Money Net => Invoice.NetOf(Line);

        // Exact, before the line was rounded; where there is no single unit price, or one with tax in it, what the line came to.
        public string Cost =>
            Line is { UnitAmount: { } each, Breakdown: null, Kind: not (LineKind.RecurringFee or LineKind.AddOn) }
            && Invoice.TaxOf(Line) is not { Inclusive: true }
                ? Decimals.Format(Decimals.Canonical(each * Line.Quantity))
                : Text(Net + Line.DiscountAmount);
    }
}
