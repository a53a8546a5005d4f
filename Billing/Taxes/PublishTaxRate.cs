using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Taxes;

/// <summary>
/// Says what a jurisdiction takes from a day on. A rate never changes: another one is published from another day, and one that was
/// wrong is archived. Invoices keep the rate that they were taxed by.
/// </summary>
public static class PublishTaxRate
{
    /// <param name="Jurisdiction">ISO 3166: a country or one of its parts, for example <c>DE</c> or <c>US-CA</c>.</param>
    /// <param name="Rate">A fraction from 0 to 1: 0.19 is 19 %.</param>
    /// <param name="ValidFrom">The first day, which may lie in the past.</param>
    /// <param name="Category">Of products; <c>standard</c> serves those that have no rate of their own.</param>
    /// <param name="Inclusive">Prices contain the tax; else it is added to them.</param>
    /// <param name="ValidUntil">The day after the last one; without it the next rate ends this one.</param>
    public sealed record NewTaxRate(
        string Jurisdiction, decimal Rate, LocalDate ValidFrom, string Category = TaxCategory.Standard, bool Inclusive = false,
        LocalDate? ValidUntil = null)
    {
        public TaxRateTerms ToTerms() => new(Jurisdiction, Category, Rate, Inclusive, ValidFrom, ValidUntil);
    }

    /// <param name="DayTaken">Another rate of the jurisdiction and category begins on the same day.</param>
    public sealed record Command(TaxRateId TaxRateId, TaxRateTerms Terms, bool DayTaken, Instant At);

    public static Decision<TaxRateEvent> Decide(Command command, TaxRate rate) => (command, rate.Status) switch
    {
        (_, not TaxRateStatus.Missing) => [],
        ({ DayTaken: true }, _) => Refusal.Because(
            "tax_rate.day_taken", "Another rate of this jurisdiction and category begins on this day; archive it first."),
        _ => [new TaxRatePublished(command.TaxRateId, command.Terms, command.At)],
    };

    public static void Map(RouteGroupBuilder rates) =>
        rates.MapPost("/", Handle).WithName(nameof(PublishTaxRate)).ForOperators().Idempotent();

    private static async Task<Results<Created<TaxRateView>, ProblemHttpResult>> Handle(
        NewTaxRate request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(Jurisdictions.IsValid(request.Jurisdiction), "jurisdiction", Jurisdictions.Rule)
            .Require(CatalogKeys.IsValid(request.Category), "category", CatalogKeys.Rule)
            .Require(
                request.Rate is >= 0 and <= 1 && request.Rate.Scale <= 6, "rate",
                "A rate is a fraction from 0 to 1 with at most 6 decimals: 0.19 is 19 %.")
            .Require(
                request.ValidUntil is null || request.ValidFrom < request.ValidUntil, "valid_until", "valid_until is after valid_from.")
            .ThrowIfAny();

        var (id, terms, at) = (new TaxRateId(requestId.Value), request.ToTerms(), clock.Now());
        var decided = await store.Transact(
            TenantId.Operator.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var taken = await IsTaken(transaction, terms, id, token);
                return await transaction.Decide<TaxRate, TaxRateEvent>(
                    TaxRate.Stream(id), rate => Decide(new(id, terms, taken, at), rate), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/tax-rates/{id}", (await TaxRateView.Find(documents, id, cancellation))!);
    }

    // Asked in the operator's lane, so that nobody publishes in between; a unique index stands behind it.
    private static async Task<bool> IsTaken(
        EventTransaction transaction, TaxRateTerms terms, TaxRateId except, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            select exists (
                select from billing.tax_rates
                where data ->> 'jurisdiction' = $1 and data ->> 'category' = $2 and data ->> 'valid_from' = $3
                  and data ->> 'archived_at' is null and id <> $4)
            """,
            Sql.P(terms.Jurisdiction), Sql.P(terms.Category), Sql.P(NodaTime.Text.LocalDatePattern.Iso.Format(terms.ValidFrom)),
            Sql.P(except.Value));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }
}
