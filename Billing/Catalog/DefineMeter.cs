using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>
/// Says which usage events are measured, and how, or publishes the next version of that. Nothing is computed ahead from a
/// definition, so a new one measures old events like new ones. Usage of a type that no meter reads is refused.
/// </summary>
public static class DefineMeter
{
    /// <param name="Key">What plans call it.</param>
    /// <param name="EventType">The type of the usage events that it reads.</param>
    /// <param name="ValueProperty">The member of the event's data that it measures; not with <c>count</c>, always with others.</param>
    /// <param name="Unit">Shown on invoices, for example <c>millisecond</c>.</param>
    /// <param name="Percentile">Above 0, up to 100, by nearest rank; only and always with <c>percentile</c>.</param>
    /// <param name="TimeUnit">Value times seconds, or times hours; only and always with <c>weighted_sum</c>.</param>
    /// <param name="Filters">Events that do not pass all of them are not measured.</param>
    /// <param name="Dimensions">Up to four members of the data by which usage can be grouped and filtered.</param>
    public sealed record NewMeter(
        string Key, string DisplayName, string EventType, Aggregation Aggregation, string Unit, string? ValueProperty = null,
        decimal? Percentile = null, TimeUnit? TimeUnit = null, IReadOnlyList<PropertyFilter>? Filters = null,
        IReadOnlyList<string>? Dimensions = null)
    {
        public MeterDefinition ToDefinition() => new(
            DisplayName, EventType, Aggregation, ValueProperty, Unit, Percentile, TimeUnit, Filters ?? [], Dimensions ?? []);
    }

    /// <summary>The key and the event type stay; all else is named anew.</summary>
    public sealed record NewMeterVersion(
        string DisplayName, Aggregation Aggregation, string Unit, string? ValueProperty = null, decimal? Percentile = null,
        TimeUnit? TimeUnit = null, IReadOnlyList<PropertyFilter>? Filters = null, IReadOnlyList<string>? Dimensions = null)
    {
        public MeterDefinition ToDefinition(string eventType) => new(
            DisplayName, eventType, Aggregation, ValueProperty, Unit, Percentile, TimeUnit, Filters ?? [], Dimensions ?? []);
    }

    /// <param name="KeyTaken">Another meter has the key.</param>
    public sealed record Command(MeterId MeterId, NewMeter Meter, bool KeyTaken, Instant At);

    public sealed record VersionCommand(MeterId MeterId, NewMeterVersion Version, Instant At);

    public static Decision<MeterEvent> Decide(Command command, Meter meter) => (command, meter) switch
    {
        (_, { Definition: not null }) => [],
        ({ KeyTaken: true }, _) => Refusal.Because("meter.key_taken", "Another meter has this key."),
        ({ Meter: var it }, _) =>
        [
            new MeterDefined(
                command.MeterId, it.Key, it.DisplayName, it.EventType, it.Aggregation, it.ValueProperty, it.Unit, command.At,
                it.Percentile, it.TimeUnit, it.Filters, it.Dimensions),
        ],
    };

    public static Decision<MeterEvent> Decide(VersionCommand command, Meter meter)
    {
        if (meter.Definition is not { } latest)
            return Refusal.Because("meter.not_found", "There is no such meter.");

        // The same definition again is what a repeated request asks for.
        var next = command.Version.ToDefinition(latest.EventType);
        return next == latest ? [] : [new MeterVersionPublished(command.MeterId, meter.LatestVersion + 1, next, command.At)];
    }

    public static void Map(RouteGroupBuilder meters)
    {
        meters.MapPost("/", Define).WithName(nameof(DefineMeter)).ForOperators().Idempotent();
        meters.MapPost("/{id}/versions", Publish).WithName("PublishMeterVersion").ForOperators().Idempotent();
    }

    private static async Task<Results<Created<MeterView>, ProblemHttpResult>> Define(
        NewMeter request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        var id = new MeterId(requestId.Value);
        var at = clock.Now();
        new FieldErrors()
            .Require(CatalogKeys.IsValid(request.Key), "key", CatalogKeys.Rule)
            .Require(CatalogKeys.IsValid(request.EventType), "event_type", CatalogKeys.Rule)
            .ThrowIfAny();

        return await Handle(
            id, request.ToDefinition(), caller, store, documents,
            async (transaction, token) =>
            {
                var taken = await CatalogKeys.IsTaken(transaction, MeterView.Table, request.Key, id.Value, token);
                return await transaction.Decide<Meter, MeterEvent>(
                    Meter.Stream(id), meter => Decide(new Command(id, request, taken, at), meter), token);
            },
            cancellation);
    }

    private static Task<Results<Created<MeterView>, ProblemHttpResult>> Publish(
        MeterId id, NewMeterVersion request, Caller caller, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        var at = clock.Now();
        return Handle(
            id, request.ToDefinition(eventType: ""), caller, store, documents,
            (transaction, token) => transaction.Decide<Meter, MeterEvent>(
                Meter.Stream(id), meter => Decide(new VersionCommand(id, request, at), meter), token),
            cancellation);
    }

    private static async Task<Results<Created<MeterView>, ProblemHttpResult>> Handle(
        MeterId id, MeterDefinition definition, Caller caller, EventStore.EventStore store, Documents documents,
        Func<EventTransaction, CancellationToken, Task<Decided<Meter>>> decide, CancellationToken cancellation)
    {
        new FieldErrors()
            .RequireDisplayName(definition.DisplayName)
            .Require(definition.Unit.Length is >= 1 and <= 50, "unit", "1 to 50 characters are needed.")
            .ThrowIfAny();
        if (MeterRules.Faults(definition) is { Count: > 0 } faults)
        {
            return Problems.Problem(
                StatusCodes.Status422UnprocessableEntity, "meter.invalid", "The meter's definition makes no sense.",
                faults.GroupBy(fault => fault.Field)
                    .ToDictionary(field => field.Key, field => field.Select(fault => fault.Problem).ToArray()));
        }

        var decided = await store.Transact(TenantId.Operator.Value, caller.Cause, decide, cancellation);
        if (decided.Refusal is { } refusal)
            return refusal.ToProblem();

        var view = await documents.Find(
            TenantId.Operator.Value, MeterView.Table, id.Value, Stored.Json<MeterView>(), cancellation);
        return TypedResults.Created($"/v1/meters/{id}", view!);
    }
}
