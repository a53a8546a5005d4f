using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Platform.ServiceDefaults;

/// <summary>What the web processes do alike at their edge, so that errors, pages, keys and health look the same everywhere.</summary>
public static class ServiceDefaults
{
    private const long BodyBytesMax = 16 * 1024 * 1024;

    extension(WebApplicationBuilder builder)
    {
        /// <param name="service">The process's name in traces and logs: <c>billing</c>.</param>
        /// <param name="contexts">Source-generated JSON of the process's requests and answers.</param>
        /// <remarks>The process also registers an <see cref="IApiKeyDirectory"/>.</remarks>
        public WebApplicationBuilder AddServiceDefaults(string service, params ReadOnlySpan<IJsonTypeInfoResolver> contexts)
        {
            var resolvers = contexts.ToArray();
            var services = builder.Services;

            builder.Logging.ClearProviders()
                .AddJsonConsole(console =>
                {
                    console.UseUtcTimestamp = true;
                    console.TimestampFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
                })
                .AddFilter("Microsoft.AspNetCore", LogLevel.Warning);   // RequestLog says it in one line instead of six
            services.Configure<KestrelServerOptions>(kestrel => kestrel.Limits.MaxRequestBodySize = BodyBytesMax);

            services.TryAddSingleton(TimeProvider.System);
            services.ConfigureHttpJsonOptions(json => PlatformJson.ForHttp(json.SerializerOptions, resolvers));
            services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
            services.AddProblemDetails(problems => problems.CustomizeProblemDetails = NameTheCode);
            services.AddExceptionHandler<ExceptionProblems>();
            services.AddAuthentication(ApiKeyHandler.SchemeName)
                .AddScheme<AuthenticationSchemeOptions, ApiKeyHandler>(ApiKeyHandler.SchemeName, configureOptions: null);
            services.AddAuthorizationBuilder()
                .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
            services.AddHealthChecks().AddCheck<DatabaseHealth>("postgresql", tags: ["ready"]);
            services.AddOpenApi(ApiDescription.Configure);
            Telemetry.Add(services, builder.Configuration, service);
            return builder;
        }
    }

    extension(WebApplication app)
    {
        public WebApplication UseServiceDefaults()
        {
            app.UseMiddleware<RequestLog>();
            app.UseExceptionHandler();
            app.UseStatusCodePages();
            // Before authentication: it is no endpoint that could say it is open to anybody.
            app.UseSwaggerUI(swagger => swagger.SwaggerEndpoint("/openapi/v1.json", "v1"));
            app.UseRouting();
            app.UseAuthentication();
            app.UseAuthorization();
            app.UseMiddleware<ActForTenant>();
            app.UseMiddleware<StorableTextMiddleware>();
            app.UseMiddleware<IdempotencyMiddleware>();

            app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous();
            app.MapHealthChecks("/health/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") })
                .AllowAnonymous();
            app.MapOpenApi().AllowAnonymous();
            return app;
        }
    }

    // Answers that the framework makes by itself (no such route, wrong method) get a code of ours too.
    private static void NameTheCode(ProblemDetailsContext context)
    {
        var problem = context.ProblemDetails;
        var code = problem.Status switch
        {
            StatusCodes.Status404NotFound => "route.not_found",
            StatusCodes.Status405MethodNotAllowed => "route.method_not_allowed",
            StatusCodes.Status415UnsupportedMediaType => "request.media_type_unsupported",
            var status => $"http.{status}",
        };
        if (problem.Type?.StartsWith(Problems.TypePrefix, StringComparison.Ordinal) is not true)
            problem.Type = Problems.TypePrefix + code;
        problem.Extensions["trace_id"] = System.Diagnostics.Activity.Current?.TraceId.ToHexString();
        problem.Extensions.Remove("traceId");
    }
}

internal sealed class DatabaseHealth(IConfiguration configuration) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await using var connection = new NpgsqlConnection(configuration.GetConnectionString("Application"));
            await connection.OpenAsync(cancellationToken);
            await using var ping = new NpgsqlCommand("select 1", connection);
            await ping.ExecuteScalarAsync(cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException)
        {
            return HealthCheckResult.Unhealthy("PostgreSQL cannot be reached.", error);
        }
    }
}
