using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Platform.ServiceDefaults;

/// <summary>One line per request: route, status, time and ids. Never the path's values, the query, headers or bodies.</summary>
internal sealed partial class RequestLog(RequestDelegate next, TimeProvider clock, ILogger<RequestLog> logger)
{
    public async Task InvokeAsync(HttpContext http)
    {
        var started = clock.GetTimestamp();
        await next(http);

        // Health checks come every few seconds and would drown the rest.
        if (http.Request.Path.StartsWithSegments("/health", StringComparison.Ordinal))
            return;

        // An exception's handler has taken the endpoint off the request and remembers it.
        var endpoint = http.GetEndpoint() ?? http.Features.Get<IExceptionHandlerFeature>()?.Endpoint;
        var route = (endpoint as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";
        var caller = http.Features.Get<Caller>();
        var elapsed = clock.GetElapsedTime(started).TotalMilliseconds;
        Answered(http.Request.Method, route, http.Response.StatusCode, elapsed, caller?.TenantId.Value, caller?.ApiKeyId.Value);
    }

    [LoggerMessage(
        EventId = 2, Level = LogLevel.Information,
        Message = "{Method} {Route} {StatusCode} in {ElapsedMilliseconds} ms, tenant {TenantId}, key {ApiKeyId}")]
    private partial void Answered(
        string method, string route, int statusCode, double elapsedMilliseconds, Guid? tenantId, Guid? apiKeyId);
}
