using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>Says which usage events are measured, and how. Usage of a type that no meter reads is refused.</summary>
public static class DefineMeter
{
    /// <param name="Key">What plans call it.</param>
    /// <param name="EventType">The type of the usage events that it reads.</param>
    /// <param name="Aggregation"><c>sum</c> or <c>count</c>.</param>
    /// <param name="ValueProperty">The member of the event's data to sum; only and always with <c>sum</c>.</param>
    /// <param name="Unit">Shown on invoices, for example <c>millisecond</c>.</param>
    public sealed record NewMeter(
        string Key, string DisplayName, string EventType, Aggregation Aggregation, string Unit, string? ValueProperty = null);

    /// <param name="KeyTaken">Another meter has the key.</param>
    public sealed record Command(MeterId MeterId, NewMeter Meter, bool KeyTaken, Instant At);

    public static Decision<MeterEvent> Decide(Command command, Meter meter) => (command, meter) switch
    {
        (_, { Definition: not null }) => [],
        ({ KeyTaken: true }, _) => Refusal.Because("meter.key_taken", "Another meter has this key."),
        ({ Meter: var it }, _) =>
        [
            new MeterDefined(
                command.MeterId, it.Key, it.DisplayName, it.EventType, it.Aggregation, it.ValueProperty, it.Unit, command.At),
        ],
    };

    public static void Map(RouteGroupBuilder meters) =>
        meters.MapPost("/", Handle).WithName(nameof(DefineMeter)).ForOperators().Idempotent();

    private static void Validate(NewMeter request) => new FieldErrors()
        .Require(CatalogKeys.IsValid(request.Key), "key", CatalogKeys.Rule)
        .Require(request.DisplayName.Length is >= 1 and <= 200, "display_name", "1 to 200 characters are needed.")
        .Require(CatalogKeys.IsValid(request.EventType), "event_type", CatalogKeys.Rule)
        .Require(request.Unit.Length is >= 1 and <= 50, "unit", "1 to 50 characters are needed.")
        .Require(
            request.Aggregation is not Aggregation.Sum || request.ValueProperty is { Length: >= 1 and <= 100 }, "value_property",
            "A sum needs the member of the data that it sums.")
        .Require(
            request.Aggregation is not Aggregation.Count || request.ValueProperty is null, "value_property",
            "A count reads no member of the data.")
        .ThrowIfAny();

    private static async Task<Results<Created<MeterView>, ProblemHttpResult>> Handle(
        NewMeter request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        Validate(request);
        var id = new MeterId(requestId.Value);
        var at = clock.Now();

        var decided = await store.Transact(
            TenantId.Operator.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var taken = await CatalogKeys.IsTaken(transaction, MeterView.Table, request.Key, id.Value, token);
                return await transaction.Decide<Meter, MeterEvent>(
                    Meter.Stream(id), meter => Decide(new(id, request, taken, at), meter), token);
            },
            cancellation);
        if (decided.Refusal is { } refusal)
            return refusal.ToProblem();

        var view = await documents.Find(
            TenantId.Operator.Value, MeterView.Table, id.Value, Stored.Json<MeterView>(), cancellation);
        return TypedResults.Created($"/v1/meters/{id}", view!);
    }
}
