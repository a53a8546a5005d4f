using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Taxes;

/// <summary>Takes a rate that was wrong out of use: further invoices are not taxed by it, and its day is free for the right one.</summary>
public static class ArchiveTaxRate
{
    public sealed record Command(TaxRateId TaxRateId, Instant At);

    public static Decision<TaxRateEvent> Decide(Command command, TaxRate rate) => rate.Status switch
    {
        TaxRateStatus.Missing => Refusal.Because("tax_rate.not_found", "There is no such tax rate."),
        TaxRateStatus.Archived => [],
        _ => [new TaxRateArchived(command.TaxRateId, command.At)],
    };

    public static void Map(RouteGroupBuilder rates) =>
        rates.MapPost("/{id}/archive", Handle).WithName(nameof(ArchiveTaxRate)).ForOperators().Idempotent();

    private static async Task<Results<Ok<TaxRateView>, ProblemHttpResult>> Handle(
        TaxRateId id, Caller caller, EventStore.EventStore store, Documents documents, TimeProvider clock, CancellationToken cancellation)
    {
        var command = new Command(id, clock.Now());
        var decided = await store.Decide<TaxRate, TaxRateEvent>(
            TaxRate.Stream(id), rate => Decide(command, rate), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await TaxRateView.Find(documents, id, cancellation))!);
    }
}
