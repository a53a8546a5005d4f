using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Paper;

/// <summary>An invoice with the names that stand on its paper, as PDF for people and as UBL for other books.</summary>
/// <param name="Issuer">Who is owed.</param>
/// <param name="Customer">Who owes.</param>
/// <param name="IssuerTaxId">Under which the issuer pays the tax; null where it has none.</param>
public sealed record InvoiceDocument(InvoiceView Invoice, string Issuer, TenantView Customer, string? IssuerTaxId = null)
{
    /// <summary>The zone in which the invoice's instants are days.</summary>
    public DateTimeZone Zone => DateTimeZoneProviders.Tzdb[Invoice.BillingPeriod.TimeZone];

    public LocalDate IssueDate => Invoice.FinalizedAt!.Value.InZone(Zone).Date;

    /// <summary>The last day on which payment is in time; null where nothing is to be paid.</summary>
    public LocalDate? DueDate => Invoice.DueAt is { } due && Invoice.Total > Invoice.CreditApplied
        ? (due - Duration.Epsilon).InZone(Zone).Date
        : null;

    /// <summary>The first and the last day of a half-open window: paper names days, and means them whole.</summary>
    public (LocalDate First, LocalDate Last) Days(Instant start, Instant end) =>
        (start.InZone(Zone).Date, Instant.Max(start, end - Duration.Epsilon).InZone(Zone).Date);

    public static void Map(RouteGroupBuilder invoices)
    {
        invoices.MapGet("/{id}/pdf", (InvoiceId id, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation) =>
                Answer(id, caller, documents, settings, "application/pdf", "pdf", InvoicePdf.Write, cancellation))
            .WithName("GetInvoicePdf").Produces<byte[]>(contentType: "application/pdf");
        invoices.MapGet("/{id}/ubl", (InvoiceId id, Caller caller, Documents documents, IConfiguration settings, CancellationToken cancellation) =>
                Answer(id, caller, documents, settings, "application/xml", "xml", InvoiceUbl.Write, cancellation))
            .WithName("GetInvoiceUbl").Produces<byte[]>(contentType: "application/xml");
    }

    private static async Task<Results<FileContentHttpResult, ProblemHttpResult>> Answer(
        InvoiceId id, Caller caller, Documents documents, IConfiguration settings, string contentType, string extension,
        Func<InvoiceDocument, byte[]> write, CancellationToken cancellation)
    {
        if (await InvoiceView.Find(documents, caller.TenantId, id, cancellation) is not { FinalizedAt: not null } invoice
            || await TenantView.Find(documents, caller.TenantId, cancellation) is not { } customer)
        {
            return Problems.NotFound("invoice");
        }

        var document = new InvoiceDocument(invoice, IssuerOf(settings), customer, settings["Issuer:TaxId"]);
        return TypedResults.File(write(document), contentType, $"{invoice.Number}.{extension}");
    }

    /// <summary>Who bills: <c>Issuer__Name</c>.</summary>
    public static string IssuerOf(IConfiguration settings) => settings["Issuer:Name"] ?? "Platform";

    /// <summary>What one unit costs; null where other terms decided too, so that quantity times price would not be the line's amount.</summary>
    public static decimal? UnitPrice(InvoiceView.InvoiceLine line) =>
        line.UnitAmount is { } each
        && decimal.Round(line.Quantity * each, line.Amount.Currency.Exponent, MidpointRounding.AwayFromZero) == line.Amount.Amount
            ? each
            : null;

    /// <summary>The same of prices without tax: null where the price contains it.</summary>
    public static decimal? NetUnitPrice(InvoiceView invoice, InvoiceView.InvoiceLine line) =>
        invoice.TaxOf(line) is { Inclusive: true } ? null : UnitPrice(line);

    /// <summary>0.19 as 19 %.</summary>
    public static string Percent(decimal rate) => string.Create(CultureInfo.InvariantCulture, $"{rate * 100:0.####} %");

    /// <summary>1234.5 as 1,234.5, with all its decimals.</summary>
    public static string Grouped(decimal number) => number.ToString("#,##0.############################", CultureInfo.InvariantCulture);

    /// <summary>1234.50 as 1,234.50, with the currency's decimals.</summary>
    public static string Grouped(Money money) =>
        money.Amount.ToString($"N{money.Currency.Exponent}", CultureInfo.InvariantCulture);
}
