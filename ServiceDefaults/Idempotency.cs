using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Platform.EventStore;

namespace Platform.ServiceDefaults;

/// <summary>
/// Marks a write that takes an <c>Idempotency-Key</c>: the same key and request replay the first success, the same key
/// with another request is a 409. A failure's answer is not kept, so that the same request may be tried again later; a
/// corrected one is another request and takes another key.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class IdempotentAttribute : Attribute;

/// <summary>
/// The id under which this request may name new things: a version 7 UUID that every retry with the same key gets again.
/// </summary>
public sealed record RequestId(Guid Value)
{
    public static ValueTask<RequestId?> BindAsync(HttpContext http) => ValueTask.FromResult(http.Features.Get<RequestId>());
}

public static class IdempotentEndpoints
{
    extension(HttpResponse response)
    {
        /// <summary>In whole seconds, rounded up.</summary>
        public void AskAgainIn(TimeSpan wait) =>
            response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
    }

    extension<TBuilder>(TBuilder endpoint) where TBuilder : IEndpointConventionBuilder
    {
        public TBuilder Idempotent() => endpoint.WithMetadata(new IdempotentAttribute());
    }
}

internal sealed class IdempotencyMiddleware(RequestDelegate next)
{
    public const string Header = "Idempotency-Key";

    public async Task InvokeAsync(HttpContext http, IdempotencyKeys keys)
    {
        if (http.GetEndpoint()?.Metadata.GetMetadata<IdempotentAttribute>() is null || http.Features.Get<Caller>() is not { } caller)
        {
            await next(http);
            return;
        }

        var key = http.Request.Headers[Header].ToString();
        if (key.Length is 0 or > 200 || key.Any(c => c is < '!' or > '~'))
            throw new InvalidRequestException(Header, "A key of 1 to 200 visible ASCII characters is required.");

        var tenant = caller.TenantId.Value;
        var claim = await keys.Claim(tenant, key, await Fingerprint(http.Request), http.RequestAborted);
        switch (claim)
        {
            case IdempotencyClaim.Answered(var response):
                await Replay(http, response);
                break;
            case IdempotencyClaim.Mismatch:
                await Problems.Problem(
                    StatusCodes.Status409Conflict, "idempotency.key_reused",
                    "This Idempotency-Key was used with another request.").ExecuteAsync(http);
                break;
            case IdempotencyClaim.InProgress(var askAgainIn):
                http.Response.AskAgainIn(askAgainIn);
                await Problems.Problem(
                    StatusCodes.Status409Conflict, "idempotency.in_progress",
                    "The request with this Idempotency-Key is still running.").ExecuteAsync(http);
                break;
            case IdempotencyClaim.Claimed(var requestId):
                http.Features.Set(new RequestId(requestId));
                await Run(http, keys, tenant, key);
                break;
        }
    }

    private async Task Run(HttpContext http, IdempotencyKeys keys, Guid tenant, string key)
    {
        var output = http.Response.Body;
        using var captured = new MemoryStream();
        http.Response.Body = captured;
        try
        {
            await next(http);
        }
        catch
        {
            http.Response.Body = output;
            await keys.Abandon(tenant, key, CancellationToken.None);
            throw;
        }

        http.Response.Body = output;
        // The caller may have hung up; its work is done all the same and its retry deserves the answer.
        if (http.Response.StatusCode < 300)
            await keys.Complete(tenant, key, Answer(http.Response, captured.ToArray()), CancellationToken.None);
        else
            await keys.Abandon(tenant, key, CancellationToken.None);

        captured.Position = 0;
        await captured.CopyToAsync(output, http.RequestAborted);
    }

    private static StoredResponse Answer(HttpResponse response, byte[] body) =>
        new(response.StatusCode, response.ContentType, response.Headers.Location, body);

    private static async Task Replay(HttpContext http, StoredResponse response)
    {
        http.Response.StatusCode = response.StatusCode;
        http.Response.ContentType = response.ContentType;
        if (response.Location is not null)
            http.Response.Headers.Location = response.Location;
        http.Response.Headers["Idempotency-Replayed"] = "true";
        await http.Response.Body.WriteAsync(response.Body, http.RequestAborted);
    }

    private static async Task<byte[]> Fingerprint(HttpRequest request)
    {
        request.EnableBuffering();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{request.Method} {request.Path}{request.QueryString}\n"));

        var buffer = new byte[16 * 1024];
        for (int read; (read = await request.Body.ReadAsync(buffer, request.HttpContext.RequestAborted)) > 0;)
            hash.AppendData(buffer, 0, read);
        request.Body.Position = 0;

        return hash.GetHashAndReset();
    }
}
