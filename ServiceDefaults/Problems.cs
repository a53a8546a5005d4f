using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using Platform.EventStore;
using JsonOptions = Microsoft.AspNetCore.Http.Json.JsonOptions;

namespace Platform.ServiceDefaults;

/// <summary>Input that is wrong at the edge, before any rule was asked: 400 with every wrong field named.</summary>
public sealed class InvalidRequestException(IReadOnlyDictionary<string, string[]> errors) : Exception("The request is not valid.")
{
    public InvalidRequestException(string field, string problem)
        : this(new Dictionary<string, string[]> { [field] = [problem] })
    {
    }

    public IReadOnlyDictionary<string, string[]> Errors { get; } = errors;
}

/// <summary>Collects what is wrong with a request, field by field, so that a caller sees all of it at once.</summary>
public sealed class FieldErrors
{
    private readonly Dictionary<string, List<string>> errors = [];

    public FieldErrors Require(bool condition, string field, string problem)
    {
        if (!condition)
            (errors.TryGetValue(field, out var problems) ? problems : errors[field] = []).Add(problem);
        return this;
    }

    public bool Any => errors.Count > 0;

    /// <exception cref="InvalidRequestException">Something was wrong.</exception>
    public void ThrowIfAny()
    {
        if (Any)
            throw new InvalidRequestException(errors.ToDictionary(error => error.Key, error => error.Value.ToArray()));
    }
}

/// <summary>Every error body: RFC 9457 problem details whose type ends in a stable code.</summary>
public static partial class Problems
{
    public const string TypePrefix = "https://errors.platform.example/";

    extension(Refusal refusal)
    {
        /// <summary>
        /// 404 for <c>*.not_found</c>, 403 for <c>*.forbidden</c>, 409 for <c>*.reached</c>, which the same request meets no longer once
        /// there is room; else 422 where a field makes no sense, and 409 where none does.
        /// </summary>
        public ProblemHttpResult ToProblem() => Problem(
            refusal switch
            {
                _ when refusal.Code.EndsWith(".not_found", StringComparison.Ordinal) => StatusCodes.Status404NotFound,
                _ when refusal.Code.EndsWith(".forbidden", StringComparison.Ordinal) => StatusCodes.Status403Forbidden,
                _ when refusal.Code.EndsWith(".reached", StringComparison.Ordinal) => StatusCodes.Status409Conflict,
                { Field: not null } => StatusCodes.Status422UnprocessableEntity,
                _ => StatusCodes.Status409Conflict,
            },
            refusal.Code,
            refusal.Reason,
            refusal.Field is { } field ? new Dictionary<string, string[]> { [field] = [refusal.Reason] } : null);
    }

    public static ProblemHttpResult NotFound(string what) =>
        Problem(StatusCodes.Status404NotFound, $"{what}.not_found", $"There is no such {what.Replace('_', ' ')}.");

    public static ProblemHttpResult Problem(
        int status, string code, string title, IReadOnlyDictionary<string, string[]>? errors = null) =>
        TypedResults.Problem(Details(status, code, title, errors));

    internal static ProblemDetails Details(
        int status, string code, string title, IReadOnlyDictionary<string, string[]>? errors = null)
    {
        var problem = new ProblemDetails { Status = status, Type = TypePrefix + code, Title = title };
        if (errors is not null)
            problem.Extensions["errors"] = errors;
        return problem;
    }

    /// <summary>Turns what the JSON reader says into the name of a field and a sentence for people.</summary>
    /// <param name="allowed">What a place may hold, in a sentence, by the reader's path; null where that is not one of a few names.</param>
    internal static IReadOnlyDictionary<string, string[]> FieldsOf(JsonException error, Func<string, string?> allowed)
    {
        var path = error.Path is { } full ? full.TrimStart('$').TrimStart('.') : "";
        if (MissingProperties().Match(error.Message) is { Success: true } missing)
        {
            string[] required = ["The field is required."];
            return QuotedName().Matches(missing.Value)
                .Select(name => name.Groups[1].Value)
                .ToDictionary(name => path.Length == 0 ? name : $"{path}.{name}", _ => required);
        }

        return new Dictionary<string, string[]> { [path.Length == 0 ? "body" : path] = [Sentence(error, allowed)] };
    }

    // The JSON reader says this with an exception of its own type, and the path only in its text.
    internal static string? MissingKind(NotSupportedException error) =>
        error.Message.Contains("must specify a type discriminator", StringComparison.Ordinal)
        && PathInText().Match(error.Message) is { Success: true } path
            ? path.Groups[1].Value
            : null;

    // Our own converters write for people already; the reader's own messages name C# types.
    private static string Sentence(JsonException error, Func<string, string?> allowed)
    {
        var text = error.Message.Split(" Path:")[0];
        return text switch
        {
            _ when error.InnerException is JsonException => "The body is not valid JSON.",
            _ when Says("could not be mapped to any .NET member") => "There is no such field.",
            _ when Says("could not be converted") => allowed(error.Path ?? "") ?? "The value has the wrong type.",
            _ when Says("type discriminator") => $"The kind of the object is unknown. {allowed(error.Path ?? "")}".TrimEnd(),
            _ => text,
        };

        bool Says(string phrase) => text.Contains(phrase, StringComparison.Ordinal);
    }

    // "... was missing required properties including: 'name', 'currency'."
    [GeneratedRegex("missing required properties[^:]*:.*")]
    private static partial Regex MissingProperties();

    [GeneratedRegex(@"Path: \$\.?(\S+)")]
    private static partial Regex PathInText();

    [GeneratedRegex("'([^']+)'")]
    private static partial Regex QuotedName();
}

/// <summary>What escapes a handler becomes a problem too: bad input is 400, a lost database 503, a bug 500.</summary>
internal sealed partial class ExceptionProblems(
    IProblemDetailsService problems, IOptions<JsonOptions> json, ILogger<ExceptionProblems> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext http, Exception exception, CancellationToken cancellationToken)
    {
        var problem = exception switch
        {
            InvalidRequestException invalid =>
                Problems.Details(StatusCodes.Status400BadRequest, "request.invalid", "The request is not valid.", invalid.Errors),
            BadHttpRequestException { InnerException: JsonException wrong } =>
                Problems.Details(
                    StatusCodes.Status400BadRequest, "request.invalid", "The request is not valid.", Problems.FieldsOf(wrong, Allowed)),
            JsonException wrong =>
                Problems.Details(
                    StatusCodes.Status400BadRequest, "request.invalid", "The request is not valid.", Problems.FieldsOf(wrong, Allowed)),
            NotSupportedException kindless when Problems.MissingKind(kindless) is { } field =>
                Problems.Details(
                    StatusCodes.Status400BadRequest, "request.invalid", "The request is not valid.",
                    new Dictionary<string, string[]> { [field] = [$"The kind of the object is missing. {Allowed(field)}".TrimEnd()] }),
            BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } =>
                Problems.Details(StatusCodes.Status413PayloadTooLarge, "request.too_large", "The body is too large."),
            BadHttpRequestException bad =>
                Problems.Details(bad.StatusCode, "request.invalid", "The request is not valid.", FieldsOf(bad)),
            // Money refuses to be more than the books can hold. What it was computed from is wrong, and stays where it can be corrected.
            OverflowException =>
                Problems.Details(
                    StatusCodes.Status409Conflict, "amount.too_large",
                    "An amount is larger than the books can hold; correct the usage or the price that it comes from."),
            VersionConflictException =>
                Problems.Details(
                    StatusCodes.Status409Conflict, "concurrency.conflict", "Others kept changing the same thing; try again."),
            NpgsqlException { IsTransient: true } or TimeoutException =>
                Problems.Details(
                    StatusCodes.Status503ServiceUnavailable, "storage.unavailable", "The database cannot be reached; try again."),
            _ => Problems.Details(StatusCodes.Status500InternalServerError, "server.fault", "Something broke on our side."),
        };

        if (problem.Status == StatusCodes.Status503ServiceUnavailable)
            http.Response.Headers.RetryAfter = "1";
        if (problem.Status >= StatusCodes.Status500InternalServerError)
            Failed(http.Request.Method, http.Features.Get<IExceptionHandlerFeature>()?.Endpoint?.DisplayName ?? "unknown", exception);

        http.Response.StatusCode = problem.Status!.Value;
        return await problems.TryWriteAsync(new() { HttpContext = http, ProblemDetails = problem, Exception = exception });

        // Bodies that are read as they come say no type.
        string? Allowed(string path) =>
            http.Features.Get<IExceptionHandlerFeature>()?.Endpoint?.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType is { } request
                ? AllowedValues.At(request, path, json.Value.SerializerOptions)
                : null;
    }

    // "Failed to bind parameter "JobId jobId" from "x"." and its relatives name the C# parameter in quotes; where it is the
    // body that is missing, its C# name means nothing to the caller.
    private static Dictionary<string, string[]> FieldsOf(BadHttpRequestException bad)
    {
        var parameter = bad.Message.Split('"') is [var before, var quoted, ..] && !before.Contains("body", StringComparison.Ordinal)
            ? quoted.Split(' ')[^1]
            : "body";
        return new() { [JsonNamingPolicy.SnakeCaseLower.ConvertName(parameter)] = ["The value is missing or not valid."] };
    }

    [LoggerMessage(EventId = 1, Level = LogLevel.Error, Message = "{Method} {Endpoint} failed")]
    private partial void Failed(string method, string endpoint, Exception exception);
}
