using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using NodaTime.Text;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// Leads from each line of an invoice to what it was made of: the version of the plan and its charge, every step of the amount, the
/// hours of usage that were summed, and where the events under them are read.
/// </summary>
public static class ExplainInvoice
{
    // A month of hours over a few dimensions. What is cut off stands in the portal's queries, by the same window.
    private const int RollUpsMax = 1_000;

    public sealed record Explained(
        InvoiceId InvoiceId, string? Number, InvoiceView.InvoicedPeriod BillingPeriod, Money Subtotal,
        IReadOnlyList<InvoiceView.InvoiceDiscount> Discounts, IReadOnlyList<InvoiceView.InvoiceTax> Taxes, Money Total,
        IReadOnlyList<ExplainedLine> Lines);

    /// <param name="Price">The terms that the window ran on; absent where the line is of no plan.</param>
    /// <param name="Calculation">The steps to the amount, which sum to it before it was rounded.</param>
    /// <param name="Usage">Absent where the line is not of usage.</param>
    /// <param name="AddOnId">What the line is for; absent where that is no add-on.</param>
    public sealed record ExplainedLine(
        int Number, LineKind Kind, string Description, Money Amount, IReadOnlyList<RatingStep> Calculation,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PriceVersion? Price,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UsageOfLine? Usage,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] AddOnId? AddOnId = null);

    /// <param name="Charge">The charge as it was published; absent for the recurring fee.</param>
    public sealed record PriceVersion(
        PlanId PlanId, string PlanKey, int PlanVersion, Instant PublishedAt, Money RecurringFee, Proration Proration,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Charge? Charge);

    /// <param name="Quantity">What the line bills.</param>
    /// <param name="LedgerThrough">The newest ledger position that the invoice knew: what came later is on a later invoice.</param>
    /// <param name="RollUps">By hour, as they stand now: they hold what came late too. Empty for meters that are not rolled up.</param>
    /// <param name="RollUpsCut">There are more of them than are shown.</param>
    /// <param name="EventsUrl">Reads the events, page by page.</param>
    public sealed record UsageOfLine(
        string Meter, int MeterVersion, Aggregation Aggregation, string Unit, decimal Quantity, Instant WindowStart, Instant WindowEnd,
        long LedgerThrough, IReadOnlyList<HourOfUsage> RollUps, bool RollUpsCut, string EventsUrl);

    /// <param name="Dimensions">By name; null for events without the member.</param>
    public sealed record HourOfUsage(Instant Hour, IReadOnlyDictionary<string, string?> Dimensions, decimal Quantity, long Events);

    public static void Map(RouteGroupBuilder invoices) => invoices.MapGet("/{id}/explain", Handle).WithName(nameof(ExplainInvoice));

    private static async Task<Results<Ok<Explained>, ProblemHttpResult>> Handle(
        InvoiceId id, Caller caller, EventStore.EventStore store, Documents documents, BillingDatabase database,
        CancellationToken cancellation)
    {
        if (await InvoiceView.Find(documents, caller.TenantId, id, cancellation) is not { } invoice
            || (await store.Read(Invoice.Stream(caller.TenantId, id), cancellation))[0].Data is not InvoiceDrafted drafted)
        {
            return Problems.NotFound("invoice");
        }

        var plans = new Dictionary<PlanId, PlanView>();
        foreach (var plan in invoice.Lines.Select(line => line.PlanId).OfType<PlanId>().Distinct())
            plans[plan] = (await PlanView.Find(documents, plan, cancellation))!;
        var meters = (await MeterView.OfKeys(documents, invoice.Lines.Select(line => line.Meter).OfType<string>(), cancellation))
            .ToDictionary(meter => meter.Key);

        var lines = new List<ExplainedLine>();
        foreach (var line in invoice.Lines)
        {
            var price = line is { PlanId: { } plan, PlanVersion: { } version } ? PriceOf(plans[plan], version, line.Meter) : null;
            var usage = line.Meter is { } key && price?.Charge is { } charge
                ? await UsageOf(line, meters[key], charge.MeterVersion ?? 1, drafted.UsageThrough, caller.TenantId, database, cancellation)
                : null;
            lines.Add(new(line.Number, line.Kind, line.Description, line.Amount, Steps(line), price, usage, line.AddOnId));
        }

        return TypedResults.Ok(new Explained(
            id, invoice.Number, invoice.BillingPeriod, invoice.Subtotal, invoice.Discounts, invoice.Taxes, invoice.Total, lines));
    }

    private static PriceVersion PriceOf(PlanView plan, int version, string? meter)
    {
        var terms = plan.Versions.First(it => it.Version == version);
        return new(
            plan.PlanId, plan.Key, version, terms.PublishedAt, terms.RecurringFee, terms.Proration,
            meter is null ? null : terms.Charges.FirstOrDefault(charge => charge.Meter == meter));
    }

    // A line without a breakdown is just quantity times unit amount.
    private static IReadOnlyList<RatingStep> Steps(InvoiceView.InvoiceLine line) => line.Breakdown ??
    [
        new()
        {
            Step = line.UnitAmount is null ? StepKind.Flat : StepKind.Units,
            Quantity = line.Quantity,
            UnitAmount = line.UnitAmount,
            Amount = line.UnitAmount is { } each && line.Kind is not (LineKind.RecurringFee or LineKind.AddOn)
                ? Decimals.Canonical(line.Quantity * each)
                : line.Amount.Amount,
        },
    ];

    private static async Task<UsageOfLine> UsageOf(
        InvoiceView.InvoiceLine line, MeterView meter, int version, long through, TenantId tenant, BillingDatabase database,
        CancellationToken cancellation)
    {
        var definition = meter.DefinitionOf(version)!;
        var rollUps = await database.Read(
            tenant,
            """
            select hour, dimensions, trim_scale(quantity)::text, events from billing.usage_rollups
            where tenant_id = $1 and meter_id = $2 and version = $3 and hour >= date_trunc('hour', $4, 'UTC') and hour < $5
            order by hour, dimensions limit $6
            """,
            row => new HourOfUsage(
                row.Instant(0),
                definition.Dimensions.Zip(row.GetFieldValue<string?[]>(1)).ToDictionary(it => it.First, it => it.Second),
                decimal.Parse(row.GetString(2), NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
                row.GetInt64(3)),
            cancellation,
            Sql.P(tenant.Value), Sql.P(meter.MeterId.Value), Sql.P(version), Sql.P(line.WindowStart), Sql.P(line.WindowEnd),
            Sql.P(RollUpsMax + 1));

        var (from, to) = (InstantPattern.ExtendedIso.Format(line.WindowStart), InstantPattern.ExtendedIso.Format(line.WindowEnd));
        return new(
            meter.Key, version, definition.Aggregation, line.Unit, line.Quantity, line.WindowStart, line.WindowEnd, through,
            [.. rollUps.Take(RollUpsMax)], rollUps.Count > RollUpsMax,
            $"/v1/usage/measured-events?meter={Uri.EscapeDataString(meter.Key)}&version={version}"
            + $"&from={Uri.EscapeDataString(from)}&to={Uri.EscapeDataString(to)}");
    }
}
