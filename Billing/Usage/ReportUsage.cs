using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>
/// Takes usage by HTTP: one event, an array of events, or <c>{"events": [...]}</c>. No Idempotency-Key is needed, because each
/// event carries its identity: sending it again changes nothing, whatever else is in the request.
/// </summary>
public static class ReportUsage
{
    private const int EventsMax = 10_000;
    private const int BodyBytesMax = 16 * 1024 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    /// <summary>A CloudEvent 1.0 whose data are strings.</summary>
    /// <param name="Id">With <paramref name="Source"/> the event's identity.</param>
    /// <param name="Type">A type that a meter reads.</param>
    /// <param name="Tenant">If present, the key's own tenant.</param>
    public sealed record ReportedEvent(
        string Id, string Source, string Type, Instant Time, IReadOnlyDictionary<string, string> Data, string? Subject = null,
        string? Tenant = null, string? Specversion = null, string? Datacontenttype = null);

    public enum UsageStatus
    {
        Accepted,
        Duplicate,
        Conflict,
        Rejected,
    }

    /// <param name="Index">Place of the event in the request, from 0.</param>
    /// <param name="Code">Why it was not taken; null where it was.</param>
    /// <param name="Errors">The fields that are wrong.</param>
    public sealed record UsageResult(
        int Index, string? Source, string? Id, UsageStatus Status,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Code = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string[]>? Errors = null);

    /// <param name="Results">One per event, in the request's order.</param>
    public sealed record UsageReport(int Accepted, int Duplicates, int Conflicts, int Rejected, IReadOnlyList<UsageResult> Results);

    public static void Map(RouteGroupBuilder usage) =>
        usage.MapPost("/events", Handle).WithName(nameof(ReportUsage)).ForUsageReporters()
            .Accepts<ReportedEvent>("application/json", "application/cloudevents+json", "application/cloudevents-batch+json");

    private static async Task<Results<Ok<UsageReport>, ProblemHttpResult>> Handle(
        HttpRequest request, Caller caller, UsageIntake intake, Documents documents, TimeProvider clock, UsageLimits limits,
        CancellationToken cancellation)
    {
        if (await Body(request, cancellation) is not { } bytes)
            return TooLarge("body", $"A request holds at most {BodyBytesMax / 1024 / 1024} MiB.");
        using var body = Parse(bytes);
        var (reported, single) = Events(body.RootElement);
        if (reported.Count > EventsMax)
            return TooLarge("events", $"A request holds at most {EventsMax} events; this one has {reported.Count}.");
        var now = clock.Now();

        // 1 read all, 2 check all against the meters, 3 take what is right in one transaction
        var read = reported.Select(json => UsageEventReader.Read(json, caller.TenantId)).ToList();
        var meters = await MeterView.OfEventTypes(documents, read.Select(it => it.Event?.Type).OfType<string>(), cancellation);
        var faults = read.Select(it => it.Event is { } readable ? UsageEventReader.Check(readable, meters, now, limits) : it.Faults)
            .ToList();
        if (single && faults[0] is { Count: > 0 } wrong)
            return Problem(wrong);

        var taken = read.Zip(faults).Where(it => it.Second.Count == 0).Select(it => it.First.Event!).ToList();
        var outcomes = taken.Count == 0 ? [] : await intake.Take(
            new(caller.TenantId.Value, taken, AttemptId: null, caller.Cause.Actor!), cancellation);
        if (single && outcomes[0] == UsageOutcome.Conflict)
        {
            return Problems.Problem(
                StatusCodes.Status409Conflict, "usage.conflict", "Another event with this source and id is in the ledger.",
                new Dictionary<string, string[]> { ["id"] = ["Already used, with other content."] });
        }

        using var next = outcomes.GetEnumerator();
        var results = read.Select((it, index) => faults[index].Count == 0
            ? Taken(index, it.Event!, Next(next))
            : Rejected(index, reported[index], faults[index])).ToList();
        return TypedResults.Ok(new UsageReport(
            Count(UsageStatus.Accepted), Count(UsageStatus.Duplicate), Count(UsageStatus.Conflict), Count(UsageStatus.Rejected), results));

        int Count(UsageStatus status) => results.Count(result => result.Status == status);
    }

    // Null if it is too large. The server has the same limit but would not name it.
    private static async Task<ReadOnlyMemory<byte>?> Body(HttpRequest request, CancellationToken cancellation)
    {
        if (request.ContentLength > BodyBytesMax)
            return null;

        using var read = new MemoryStream((int)(request.ContentLength ?? 0));
        var buffer = new byte[64 * 1024];
        try
        {
            for (int count; (count = await request.Body.ReadAsync(buffer, cancellation)) > 0;)
            {
                if (read.Length + count > BodyBytesMax)
                    return null;
                read.Write(buffer, 0, count);
            }
        }
        catch (BadHttpRequestException error) when (error.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            return null;
        }

        return read.GetBuffer().AsMemory(0, (int)read.Length);
    }

    private static ProblemHttpResult TooLarge(string field, string limit) => Problems.Problem(
        StatusCodes.Status413PayloadTooLarge, "usage.too_large", $"{limit} Nothing was stored; send it in parts.",
        new Dictionary<string, string[]> { [field] = [limit] });

    private static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return JsonDocument.Parse(body, Strict);
        }
        catch (JsonException)
        {
            throw new InvalidRequestException("body", "The body is not valid JSON, or names a field twice.");
        }
    }

    private static (IReadOnlyList<JsonElement> Events, bool Single) Events(JsonElement body)
    {
        var (events, single) = body switch
        {
            { ValueKind: JsonValueKind.Array } => ([.. body.EnumerateArray()], false),
            { ValueKind: JsonValueKind.Object } when body.TryGetProperty("events", out var batch) =>
                batch.ValueKind != JsonValueKind.Array ? throw new InvalidRequestException("events", "events is an array.")
                : body.EnumerateObject().Select(member => member.Name).FirstOrDefault(name => name != "events") is { } other
                    ? throw new InvalidRequestException(other, "There is no such field.")
                : ([.. batch.EnumerateArray()], false),
            { ValueKind: JsonValueKind.Object } => (new List<JsonElement> { body }, true),
            _ => throw new InvalidRequestException("body", "A usage event, an array of them, or an object with events."),
        };
        return events.Count > 0
            ? (events, single)
            : throw new InvalidRequestException("events", $"1 to {EventsMax} events can be reported at once.");
    }

    // Foreign tenants are told apart from nothing: naming one is a 404 like reading one. What cannot be read is 400, what
    // makes no sense 422.
    private static ProblemHttpResult Problem(IReadOnlyList<UsageFault> faults) => Problems.Problem(
        faults.Any(fault => fault.Malformed) ? StatusCodes.Status400BadRequest
            : faults.Any(fault => fault.Code.EndsWith("not_found", StringComparison.Ordinal)) ? StatusCodes.Status404NotFound
            : StatusCodes.Status422UnprocessableEntity,
        faults[0].Code, "The usage event is not valid; nothing was stored.", ByField(faults));

    private static UsageResult Taken(int index, UsageEvent it, UsageOutcome outcome) => outcome switch
    {
        UsageOutcome.Accepted => new(index, it.Source, it.Id, UsageStatus.Accepted),
        UsageOutcome.Duplicate => new(index, it.Source, it.Id, UsageStatus.Duplicate),
        _ => new(
            index, it.Source, it.Id, UsageStatus.Conflict, "usage.conflict",
            new Dictionary<string, string[]> { ["id"] = ["Already used, with other content."] }),
    };

    private static UsageResult Rejected(int index, JsonElement json, IReadOnlyList<UsageFault> faults) =>
        new(index, TextOf(json, "source"), TextOf(json, "id"), UsageStatus.Rejected, faults[0].Code, ByField(faults));

    private static string? TextOf(JsonElement json, string member)
    {
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty(member, out var value) || value.ValueKind != JsonValueKind.String)
            return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;    // half a surrogate pair is no text to answer with
        }
    }

    internal static Dictionary<string, string[]> ByField(IReadOnlyList<UsageFault> faults) => faults
        .GroupBy(fault => fault.Field)
        .ToDictionary(field => field.Key, field => field.Select(fault => fault.Problem).ToArray());

    private static UsageOutcome Next(IEnumerator<UsageOutcome> outcomes) =>
        outcomes.MoveNext() ? outcomes.Current : throw new InvalidOperationException("The ledger answers for every event.");
}
