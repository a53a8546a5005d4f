using System.Diagnostics;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.ServiceDefaults;

/// <summary>A key as a process knows it: its hash names it, the key itself is stored nowhere.</summary>
public sealed record KnownApiKey(ApiKeyId ApiKeyId, TenantId TenantId, ApiKeyScope Scope);

/// <summary>The keys that are valid now. Each process answers from its own tables.</summary>
public interface IApiKeyDirectory
{
    /// <param name="keyHash">SHA-256 of the key in lower-case hexadecimal.</param>
    /// <returns>Null for a key that was never issued or is revoked.</returns>
    ValueTask<KnownApiKey?> Find(string keyHash, CancellationToken cancellation);

    /// <summary>True for a tenant that exists: an operator may act for it.</summary>
    ValueTask<bool> TenantExists(TenantId tenant, CancellationToken cancellation);
}

/// <summary>
/// Who calls. <see cref="TenantId"/> is the key's tenant, or the one an operator named in the header
/// <c>Platform-Tenant</c>; everything a request reads or writes belongs to it.
/// </summary>
public sealed record Caller(TenantId TenantId, ApiKeyId ApiKeyId, ApiKeyScope Scope)
{
    public bool IsOperator => Scope == ApiKeyScope.Operator;

    public static ValueTask<Caller?> BindAsync(HttpContext http) => ValueTask.FromResult(http.Features.Get<Caller>());

    /// <summary>Metadata for what this call writes: the trace correlates it, the key is its actor.</summary>
    public Cause Cause => new(
        CorrelationId: Activity.Current is { } activity ? Guid.ParseExact(activity.TraceId.ToHexString(), "N") : null,
        CausationId: null,
        Actor: $"api_key/{ApiKeyId}");
}

public static class ApiKeys
{
    public const string Prefix = "pk_";

    /// <summary>A new key of 256 random bits; only its hash may be kept.</summary>
    public static string Generate() => Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <summary>A plain hash suffices: a key has 256 random bits and cannot be guessed from a list of words.</summary>
    public static string Hash(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}

/// <summary>The scopes that may call an endpoint. Without one of these, any valid key may.</summary>
public static class ScopeRequirements
{
    extension<TBuilder>(TBuilder endpoint) where TBuilder : IEndpointConventionBuilder
    {
        public TBuilder ForOperators() => endpoint.ForScopes(ApiKeyScope.Operator);

        public TBuilder ForAdmins() => endpoint.ForScopes(ApiKeyScope.Operator, ApiKeyScope.TenantAdmin);

        public TBuilder ForUsageReporters() =>
            endpoint.ForScopes(ApiKeyScope.Operator, ApiKeyScope.TenantAdmin, ApiKeyScope.Partner);

        private TBuilder ForScopes(params string[] scopes) =>
            endpoint.RequireAuthorization(policy => policy.RequireClaim(ApiKeyHandler.ScopeClaim, scopes));

        private TBuilder ForScopes(params ApiKeyScope[] scopes) => endpoint.ForScopes([.. scopes.Select(scope => scope.ToString())]);
    }
}

internal sealed class ApiKeyHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, IApiKeyDirectory keys,
    IProblemDetailsService problems)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "ApiKey";
    public const string ScopeClaim = "scope";
    public const string TenantHeader = "Platform-Tenant";

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        const string bearer = "Bearer ";
        var header = Request.Headers.Authorization.ToString();
        if (!header.StartsWith(bearer + ApiKeys.Prefix, StringComparison.Ordinal))
            return AuthenticateResult.NoResult();

        if (await keys.Find(ApiKeys.Hash(header[bearer.Length..]), Context.RequestAborted) is not { } key)
            return AuthenticateResult.Fail("Unknown or revoked key.");

        Context.Features.Set(new Caller(key.TenantId, key.ApiKeyId, key.Scope));
        var identity = new ClaimsIdentity([new(ScopeClaim, key.Scope.ToString())], SchemeName);
        return AuthenticateResult.Success(new(new ClaimsPrincipal(identity), SchemeName));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        return Write(StatusCodes.Status401Unauthorized, "auth.key_missing_or_unknown", "A valid API key is needed.");
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) =>
        Write(StatusCodes.Status403Forbidden, "auth.scope_forbidden", "This key's scope does not allow that.");

    private async Task Write(int status, string code, string title)
    {
        Response.StatusCode = status;
        await problems.WriteAsync(new() { HttpContext = Context, ProblemDetails = Problems.Details(status, code, title) });
    }
}

/// <summary>Lets an operator act for the tenant it names; anybody else who names a foreign tenant sees nothing there.</summary>
internal sealed class ActForTenant(RequestDelegate next)
{
    public async Task InvokeAsync(HttpContext http, IApiKeyDirectory keys)
    {
        if (http.Features.Get<Caller>() is { } caller && http.Request.Headers[ApiKeyHandler.TenantHeader].ToString() is { Length: > 0 } named)
        {
            var allowed = TenantId.TryParse(named, out var tenant)
                && (tenant == caller.TenantId || (caller.IsOperator && await keys.TenantExists(tenant, http.RequestAborted)));
            if (!allowed)
            {
                await Problems.NotFound("tenant").ExecuteAsync(http);
                return;
            }

            http.Features.Set(caller with { TenantId = tenant });
        }

        await next(http);
    }
}
