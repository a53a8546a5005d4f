using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using NodaTime.Text;
using Npgsql;
using Platform.Billing.AddOns;
using Platform.Billing.Catalog;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Paper;

/// <summary>
/// Invoices and credit notes as FOCUS 1.2, the FinOps Foundation's cost and usage format. One CSV row per unit price of each line, and per
/// rate of tax and service, in constant memory. Rows that bear an invoice's number sum in <c>BilledCost</c> to what it comes to, before
/// what credit pays of it, less what credit notes took back; those of lines are less discounts and without tax. An operator who acts for
/// no tenant gets those of all live tenants.
/// </summary>
public static class FocusExport
{
    private const int PageSize = 200;

    // Every mandatory column of FOCUS 1.2, and those conditional ones that this platform has something to say in; by name, as the
    // specification lists them, and its rule for columns of one's own: they come last and begin with x_.
    private static readonly (string Name, Func<Row, string?> Value)[] columns =
    [
        ("BilledCost", row => Text(row.Billed)),
        ("BillingAccountId", row => row.Tenant.TenantId.ToString()),
        ("BillingAccountName", row => row.Tenant.Name),
        ("BillingCurrency", row => row.Billed.Currency.ToString()),
        ("BillingPeriodEnd", row => Time(row.Invoice.BillingPeriod.End)),
        ("BillingPeriodStart", row => Time(row.Invoice.BillingPeriod.Start)),
        ("ChargeCategory", row => row.Line switch
        {
            null => "Tax",
            { Kind: LineKind.Usage or LineKind.LateUsage } => "Usage",
            _ => "Purchase",
        }),
        ("ChargeClass", row => row.IsCorrection ? "Correction" : null),
        ("ChargeDescription", row => row.Description),
        ("ChargeFrequency", row => row switch
        {
            { IsUsage: true } => "Usage-Based",
            { Recurs: true } => "Recurring",
            _ => "One-Time",
        }),
        ("ChargePeriodEnd", row => Time(row.Line?.WindowEnd ?? row.Invoice.BillingPeriod.End)),
        ("ChargePeriodStart", row => Time(row.Line?.WindowStart ?? row.Invoice.BillingPeriod.Start)),
        ("ConsumedQuantity", row => row.IsUsage ? Text(row.Part?.Consumed) : null),
        ("ConsumedUnit", row => row is { IsUsage: true, Part: not null } ? row.Line!.Unit : null),
        ("ContractedCost", row => row.Cost),
        ("ContractedUnitPrice", row => Text(row.Part?.UnitPrice)),
        ("EffectiveCost", row => Text(row.Billed)),
        ("InvoiceId", row => row.Invoice.Number),
        ("InvoiceIssuerName", row => row.Issuer),
        ("ListCost", row => row.Cost),
        ("ListUnitPrice", row => Text(row.Part?.UnitPrice)),
        ("PricingCategory", row => row.Part?.PricingCategory),
        ("PricingQuantity", row => Text(row.Part?.Quantity)),
        ("PricingUnit", row => row.Part?.Unit),
        ("ProviderName", row => row.Issuer),
        ("PublisherName", row => row.Issuer),
        ("ServiceCategory", row => row.Service.Category),
        ("ServiceName", row => row.Service.Name),
        ("SkuId", row => row.Sku),
        ("SkuMeter", row => row.Line?.Meter),
        ("SkuPriceId", row => row.SkuPrice),
        ("SubAccountId", row => row.Line?.SubscriptionId?.ToString()),
        ("x_CreditNoteNumber", row => row.Note?.Number),
        ("x_InvoiceLine", row => Text(row.Line?.Number)),
    ];

    public static void Map(RouteGroupBuilder exports) => exports.MapGet("/focus", Handle).WithName(nameof(FocusExport));

    /// <summary>Invoices finalized, and credit notes issued, in [from, to).</summary>
    private static Results<PushStreamHttpResult, ProblemHttpResult> Handle(
        string? from, string? to, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation)
    {
        var (start, end) = (QueryInstant.Required(from, "from"), QueryInstant.Required(to, "to"));
        new FieldErrors().Require(start < end, "to", "to is after from.").ThrowIfAny();

        var everybody = caller.IsOperator && caller.TenantId == TenantId.Operator;
        var export = new Export(documents, everybody ? null : caller.TenantId, start, end, InvoiceDocument.IssuerOf(settings));
        return TypedResults.Stream(
            body => RowStream.Write(
                body, Csv.Record(columns.Select(column => column.Name)), export.Rows(cancellation),
                (output, row) => Encoding.UTF8.GetBytes(Csv.Record(columns.Select(column => column.Value(row))), output), cancellation),
            "text/csv; charset=utf-8", "focus.csv");
    }

    private static string Text(Money money) => Decimals.Format(money.Amount);

    private static string? Text(decimal? number) => number is { } it ? Decimals.Format(it) : null;

    private static string Time(Instant at) => InstantPattern.General.Format(at);

    /// <summary>What is sold, as customers know it.</summary>
    /// <param name="Category">One of those that the specification lists.</param>
    private sealed record Service(string Name, string Category);

    /// <param name="Line">What is charged or taken back; null for tax, which is owed for lines together.</param>
    /// <param name="Part">What is charged of the line; null for tax, and where an amount is taken back and not a quantity.</param>
    /// <param name="Recurs">It is owed for each billing period.</param>
    /// <param name="Note">What takes it back; null for what the invoice charges.</param>
    private sealed record Row(
        InvoiceView Invoice, TenantView Tenant, string Issuer, Service Service, string Description, Money Billed,
        InvoiceView.InvoiceLine? Line = null, PricedPart? Part = null, bool Recurs = false, CreditNoteView? Note = null)
    {
        /// <summary>
        /// Of what an earlier invoice charged, or of an earlier period: a line below zero gives back what was charged before, and a step of a
        /// line takes off what earlier invoices took of its period.
        /// </summary>
        public bool IsCorrection =>
            Note is not null || Line is { Kind: LineKind.LateUsage } or { Amount.MinorUnits: < 0 }
            || Part is { Step.Step: StepKind.AlreadyBilled };

        /// <summary>
        /// What is measured, else the plan or the add-on; of a line from before lines named their add-on its product or name. Null for tax.
        /// </summary>
        public string? Sku =>
            Line?.Meter ?? Line?.PlanId?.ToString() ?? Line?.AddOnId?.ToString() ?? Line?.ProductId?.ToString() ?? Line?.Description;

        /// <summary>Where its price stands: in which version of the plan, for which meter, and which one where the charge has several.</summary>
        public string? SkuPrice => Line?.PlanId is { } plan
            ? string.Join('/', new[] { $"{plan}/{Line.PlanVersion}", Line.Meter, Part?.PriceName }.OfType<string>())
            : Sku;

        public bool IsUsage => Line is { Kind: LineKind.Usage or LineKind.LateUsage };

        public string Cost => Part is null ? Text(Billed) : Decimals.Format(Part.Cost);
    }

    private sealed class Export(Documents documents, TenantId? of, Instant from, Instant to, string issuer)
    {
        // The catalog is small, its products, add-ons and the versions of its plans never change.
        private readonly Dictionary<(ProductId?, PlanId?, int?), Service> services = [];
        private readonly Dictionary<(PlanId, int), PlanTerms?> terms = [];
        private readonly Dictionary<Guid, TenantView> tenants = [];
        private readonly Dictionary<AddOnId, AddOnView> addOns = [];

        public async IAsyncEnumerable<Row> Rows([EnumeratorCancellation] CancellationToken cancellation)
        {
            // A void invoice charges nothing, so nothing stands of it or of its notes.
            await foreach (var (owner, invoice) in All<InvoiceView>(InvoiceView.Table, "finalized_at", cancellation))
            {
                if (invoice.Status is InvoiceStatus.Void)
                    continue;
                var tenant = await TenantOf(owner, cancellation);
                foreach (var line in invoice.Lines)
                {
                    var (service, recurs) = (await ServiceOf(invoice, line, cancellation), await Recurs(line, cancellation));
                    foreach (var part in PricedPart.Of(invoice, line, await UnitSize(line, cancellation)))
                        yield return new(invoice, tenant, issuer, service, part.Describe(line, Zone(invoice)), part.Billed, line, part, recurs);
                }

                foreach (var tax in invoice.Taxes)
                {
                    foreach (var (service, amount) in await ByService(invoice, tax.Lines, cancellation))
                        yield return new(invoice, tenant, issuer, service, Describe(tax), amount);
                }
            }

            await foreach (var (owner, note) in All<CreditNoteView>(CreditNoteView.Table, "issued_at", cancellation))
            {
                var invoice = (await InvoiceView.Find(documents, new(owner), note.InvoiceId, cancellation))!;
                if (invoice.Status is InvoiceStatus.Void)
                    continue;
                var tenant = await TenantOf(owner, cancellation);
                foreach (var taken in note.Lines)
                {
                    var line = invoice.Lines[taken.Line - 1];
                    yield return new(
                        invoice, tenant, issuer, await ServiceOf(invoice, line, cancellation), $"{line.Description}: {note.Reason}",
                        Back(taken.Net), line, Part: null, await Recurs(line, cancellation), note);
                }

                foreach (var tax in invoice.Taxes)
                {
                    var taken = note.Lines
                        .Where(line => invoice.TaxOf(line.Line) == tax)
                        .Select(line => new LinePart(line.Line, Back(line.TaxAmount)));
                    foreach (var (service, amount) in await ByService(invoice, taken, cancellation))
                        yield return new(invoice, tenant, issuer, service, $"{Describe(tax)}: {note.Reason}", amount, Note: note);
                }
            }
        }

        private async IAsyncEnumerable<(Guid Tenant, TView View)> All<TView>(
            string table, string time, [EnumeratorCancellation] CancellationToken cancellation) where TView : class
        {
            var within = $"(data ->> '{time}')::timestamptz >= $1 and (data ->> '{time}')::timestamptz < $2";
            NpgsqlParameter[] span = [Sql.P(from), Sql.P(to)];
            for (Guid? after = null; ;)
            {
                var page = of is { } tenant
                    ? [.. (await documents.List(
                        tenant.Value, table, Stored.Json<TView>(), PageSize, after, newestFirst: false, cancellation, within, span))
                        .Select(row => (Tenant: tenant.Value, row.Id, row.View))]
                    : (IReadOnlyList<(Guid Tenant, Guid Id, TView View)>)await documents.ListAllTenants(
                        table, Stored.Json<TView>(), PageSize, after, newestFirst: false, cancellation,
                        $"{within} and {TenantView.IsLive}", span);
                foreach (var (owner, _, view) in page)
                    yield return (owner, view);

                if (page.Count < PageSize)
                    yield break;
                after = page[^1].Id;
            }
        }

        private async Task<TenantView> TenantOf(Guid id, CancellationToken cancellation)
        {
            if (!tenants.TryGetValue(id, out var tenant))
                tenants[id] = tenant = (await TenantView.Find(documents, new(id), cancellation))!;
            return tenant;
        }

        private async Task<bool> Recurs(InvoiceView.InvoiceLine line, CancellationToken cancellation)
        {
            if (line.AddOnId is not { } id)
                return line.Kind is LineKind.RecurringFee;
            if (!addOns.TryGetValue(id, out var addOn))
                addOns[id] = addOn = (await AddOnView.Find(documents, id, cancellation))!;
            return addOn.Kind is AddOnKind.Recurring;
        }

        private async Task<IReadOnlyList<(Service Service, Money Amount)>> ByService(
            InvoiceView invoice, IEnumerable<LinePart> parts, CancellationToken cancellation)
        {
            var amounts = new List<(Service Service, Money Amount)>();
            foreach (var part in parts)
                amounts.Add((await ServiceOf(invoice, invoice.Lines[part.Line - 1], cancellation), part.Amount));
            return [.. amounts.GroupBy(it => it.Service, it => it.Amount).Select(it => (it.Key, it.Aggregate((sum, each) => sum + each)))];
        }

        /// <summary>The product that the line sells, or where it names none, the plan: an add-on is sold with its subscription's.</summary>
        private async Task<Service> ServiceOf(InvoiceView invoice, InvoiceView.InvoiceLine line, CancellationToken cancellation)
        {
            var subscription = invoice.Subscriptions.FirstOrDefault(it => it.SubscriptionId == line.SubscriptionId);
            var (planId, version) = (line.PlanId ?? subscription?.PlanId, line.PlanVersion ?? subscription?.PlanVersion);
            var sold = (line.ProductId, planId, version);
            if (!services.TryGetValue(sold, out var service))
                services[sold] = service = await Find(line.ProductId, planId, version, cancellation) ?? new(line.Description, "Other");
            return service;
        }

        private async Task<Service?> Find(ProductId? productId, PlanId? planId, int? version, CancellationToken cancellation)
        {
            if (productId is { } id && await ProductView.Find(documents, id, cancellation) is { } product)
                return new(product.DisplayName, CategoryOf(product.Business));

            return await TermsOf(planId, version, cancellation) is { } plan ? new(plan.DisplayName, CategoryOf(Business.ModelServices)) : null;
        }

        // Only packages, and prices of the book, are for other units than the line counts.
        private async Task<decimal> UnitSize(InvoiceView.InvoiceLine line, CancellationToken cancellation) => line.Breakdown is null
            ? 1
            : (await TermsOf(line.PlanId, line.PlanVersion, cancellation))?.Charges.FirstOrDefault(charge => charge.Meter == line.Meter) switch
            {
                PackageCharge it => it.PackageSize,
                DynamicCharge it => it.UnitSize ?? 1,
                _ => 1,
            };

        private async Task<PlanTerms?> TermsOf(PlanId? plan, int? version, CancellationToken cancellation)
        {
            if ((plan, version) is not ({ } id, { } number))
                return null;
            if (!terms.TryGetValue((id, number), out var found))
                terms[(id, number)] = found = (await PlanView.Find(documents, id, cancellation))?.TermsOf(number);
            return found;
        }

        private static DateTimeZone Zone(InvoiceView invoice) => DateTimeZoneProviders.Tzdb[invoice.BillingPeriod.TimeZone];

        private static string CategoryOf(Business business) => business switch
        {
            Business.ModelServices => "AI and Machine Learning",
            Business.HardwareLeases => "Compute",
            Business.DataTrading => "Analytics",
            _ => "Other",
        };

        private static Money Back(Money taken) => Money.Zero(taken.Currency) - taken;

        private static string Describe(InvoiceView.InvoiceTax tax) =>
            tax.Reason ?? $"Tax {tax.Jurisdiction} {InvoiceDocument.Percent(tax.Rate)}";
    }
}
