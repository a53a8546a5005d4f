using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>
/// Takes usage by HTTP: one event, an array of events, <c>{"events": [...]}</c>, or a stream of lines
/// (<see cref="ReportUsageLines"/>). No Idempotency-Key is needed, because each event carries its identity: sending it again
/// changes nothing, whatever else is in the request.
/// </summary>
public static class ReportUsage
{
    private const int EventsMax = 10_000;
    private const int BodyBytesMax = 16 * 1024 * 1024;

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

    /// <summary>The same for one line of a stream.</summary>
    /// <param name="Line">From 1; empty lines count and have no answer.</param>
    public sealed record LineResult(
        long Line, string? Source, string? Id, UsageStatus Status,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Code = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string[]>? Errors = null)
    {
        internal static LineResult Of(long line, ReportedOutcome outcome)
        {
            var result = Result((int)Math.Min(line, int.MaxValue), outcome);
            return new(line, result.Source, result.Id, result.Status, result.Code, result.Errors);
        }
    }

    /// <param name="Results">One per event, in the request's order.</param>
    public sealed record UsageReport(int Accepted, int Duplicates, int Conflicts, int Rejected, IReadOnlyList<UsageResult> Results);

    public static void Map(RouteGroupBuilder usage) =>
        usage.MapPost("/events", Handle).WithName(nameof(ReportUsage)).ForUsageReporters()
            .Accepts<ReportedEvent>("application/json", "application/cloudevents+json", "application/cloudevents-batch+json",
                ReportUsageLines.MediaType);

    private static async Task<Results<Ok<UsageReport>, ProblemHttpResult, EmptyHttpResult>> Handle(
        HttpContext http, Caller caller, ReportedUsage usage, ReportUsageLines stream, UsageAdmission admission,
        CancellationToken cancellation)
    {
        var streamed = ReportUsageLines.IsAskedFor(http.Request);
        if (!streamed && http.Request.ContentLength > BodyBytesMax)
            return BodyTooLarge();
        using var admitted = admission.TryEnter(
            streamed ? ReportUsageLines.BytesInHandMax : http.Request.ContentLength ?? BodyBytesMax);
        if (admitted is null)
            return Busy(http.Response);
        if (!streamed)
            return await Take(http.Request, caller, usage, cancellation);

        await stream.Take(http, caller, cancellation);
        return TypedResults.Empty;
    }

    private static async Task<Results<Ok<UsageReport>, ProblemHttpResult, EmptyHttpResult>> Take(
        HttpRequest request, Caller caller, ReportedUsage usage, CancellationToken cancellation)
    {
        if (await Body(request, cancellation) is not { } bytes)
            return BodyTooLarge();
        using var body = Parse(bytes);
        var (reported, single) = Events(body.RootElement);
        if (reported.Count > EventsMax)
            return TooLarge("events", $"A request holds at most {EventsMax} events; this one has {reported.Count}.");

        var outcomes = await usage.Take(reported, caller, cancellation);
        if (single && outcomes[0].Faults is { Count: > 0 } wrong)
            return Problem(wrong);
        if (single && outcomes[0].Outcome == UsageOutcome.Conflict)
        {
            return Problems.Problem(
                StatusCodes.Status409Conflict, "usage.conflict", "Another event with this source and id is in the ledger.",
                Result(0, outcomes[0]).Errors);
        }

        var results = outcomes.Select((outcome, index) => Result(index, outcome)).ToList();
        return TypedResults.Ok(new UsageReport(
            Count(UsageStatus.Accepted), Count(UsageStatus.Duplicate), Count(UsageStatus.Conflict), Count(UsageStatus.Rejected), results));

        int Count(UsageStatus status) => results.Count(result => result.Status == status);
    }

    private static UsageResult Result(int index, ReportedOutcome it) => it.Outcome switch
    {
        null => new(index, it.Source, it.Id, UsageStatus.Rejected, it.Faults[0].Code, ByField(it.Faults)),
        UsageOutcome.Accepted => new(index, it.Source, it.Id, UsageStatus.Accepted),
        UsageOutcome.Duplicate => new(index, it.Source, it.Id, UsageStatus.Duplicate),
        _ => new(
            index, it.Source, it.Id, UsageStatus.Conflict, "usage.conflict",
            new Dictionary<string, string[]> { ["id"] = ["Already used, with other content."] }),
    };

    private static ProblemHttpResult Busy(HttpResponse response)
    {
        response.Headers.RetryAfter = "1";
        return Problems.Problem(
            StatusCodes.Status429TooManyRequests, "usage.busy", "There is more usage waiting than is taken on. Nothing was stored; send it again.");
    }

    // Null if it is too large. The server has the same limit but would not name it.
    private static async Task<ReadOnlyMemory<byte>?> Body(HttpRequest request, CancellationToken cancellation)
    {
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

    private static ProblemHttpResult BodyTooLarge() => TooLarge("body", $"A request holds at most {BodyBytesMax / 1024 / 1024} MiB.");

    private static ProblemHttpResult TooLarge(string field, string limit) => Problems.Problem(
        StatusCodes.Status413PayloadTooLarge, "usage.too_large", $"{limit} Nothing was stored; send it in parts.",
        new Dictionary<string, string[]> { [field] = [limit] });

    private static JsonDocument Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            return ReportedUsage.Parse(body);
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

    internal static Dictionary<string, string[]> ByField(IReadOnlyList<UsageFault> faults) => faults
        .GroupBy(fault => fault.Field)
        .ToDictionary(field => field.Key, field => field.Select(fault => fault.Problem).ToArray());
}
