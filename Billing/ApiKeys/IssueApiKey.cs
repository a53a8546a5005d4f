using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.ApiKeys;

/// <summary>
/// Gives a tenant a key. The answer is the only place that shows it; a repetition with the same Idempotency-Key by the same
/// caller shows it again, because it is derived and not stored (see <see cref="ApiKeySecret"/>).
/// </summary>
public static class IssueApiKey
{
    /// <param name="Name">What the key is for, 1 to 200 characters.</param>
    /// <param name="Scope">Only operators can issue the operator scope, and only for the operator's tenant.</param>
    public sealed record NewApiKey(string Name, ApiKeyScope Scope);

    /// <param name="Key">The secret, <c>pk_</c> and 64 hexadecimal digits. Keep it: it is not shown again.</param>
    public sealed record IssuedApiKey(
        ApiKeyId ApiKeyId, TenantId TenantId, string Name, ApiKeyScope Scope, string Key, Instant IssuedAt);

    /// <param name="IssuerScope">The scope of whoever asks.</param>
    public sealed record Command(
        ApiKeyId ApiKeyId, TenantId TenantId, ApiKeyScope IssuerScope, ApiKeyScope Scope, string Name, string KeyHash,
        string Salt, Instant At);

    public static Decision<ApiKeyEvent> Decide(Command command, ApiKey key) => (command, key) switch
    {
        (_, { Status: not ApiKeyStatus.Missing }) => [],
        ({ IssuerScope: not (ApiKeyScope.Operator or ApiKeyScope.TenantAdmin) }, _) =>
            Refusal.Because("api_key.forbidden", "This key's scope does not allow issuing keys."),
        ({ Scope: ApiKeyScope.Operator, IssuerScope: not ApiKeyScope.Operator }, _) =>
            Refusal.Because("api_key.scope_forbidden", "Only an operator can issue the operator scope.", "scope"),
        ({ Scope: ApiKeyScope.Operator }, _) when command.TenantId != TenantId.Operator =>
            Refusal.Because("api_key.scope_not_for_tenant", "The operator scope belongs to the operator's tenant.", "scope"),
        _ =>
        [
            new ApiKeyIssued(
                command.ApiKeyId, command.TenantId, command.Scope, command.Name, command.KeyHash, command.Salt, command.At),
        ],
    };

    /// <summary>What other processes learn of it.</summary>
    /// <param name="sandbox">Whether the tenant is one.</param>
    public static IEnumerable<object> Publish(IReadOnlyList<ApiKeyEvent> events, bool sandbox) => events.OfType<ApiKeyIssued>()
        .Select(it => new Messages.ApiKeyIssued(it.ApiKeyId, it.TenantId, it.Scope, it.KeyHash, it.At, sandbox));

    // Not marked Idempotent(): that would keep the answer, and so the secret, in the database.
    public static void Map(RouteGroupBuilder keys) => keys.MapPost("/", Handle).WithName(nameof(IssueApiKey)).ForAdmins();

    private static async Task<Results<Created<IssuedApiKey>, ProblemHttpResult>> Handle(
        NewApiKey request, [FromHeader(Name = "Idempotency-Key")] string? idempotencyKey, HttpContext http, Caller caller,
        EventStore.EventStore store, IdempotencyKeys keys, Documents documents, TimeProvider clock, CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(
                idempotencyKey is { Length: >= 1 and <= 200 } && idempotencyKey.All(c => c is >= '!' and <= '~'),
                "Idempotency-Key", "A key of 1 to 200 visible ASCII characters is required.")
            .RequireDisplayName(request.Name, "name")
            .ThrowIfAny();

        var fingerprint = SHA256.HashData(Encoding.UTF8.GetBytes($"POST /v1/api-keys\n{request.Scope}\n{request.Name}"));
        var tenant = caller.TenantId;
        switch (await keys.Claim(tenant.Value, idempotencyKey!, fingerprint, cancellation))
        {
            case IdempotencyClaim.Answered(var response):
                http.Response.Headers["Idempotency-Replayed"] = "true";
                return await Again(new(Guid.Parse(Encoding.ASCII.GetString(response.Body))));
            case IdempotencyClaim.Mismatch:
                return Problems.Problem(
                    StatusCodes.Status409Conflict, "idempotency.key_reused", "This Idempotency-Key was used with another request.");
            case IdempotencyClaim.InProgress(var askAgainIn):
                http.Response.AskAgainIn(askAgainIn);
                return Problems.Problem(
                    StatusCodes.Status409Conflict, "idempotency.in_progress", "The same request is running right now.");
            case IdempotencyClaim.Claimed(var requestId):
                return await Issue(new(requestId));
            default:
                throw new InvalidOperationException("An idempotency key is claimed, answered, in progress or another request's.");
        }

        async Task<Results<Created<IssuedApiKey>, ProblemHttpResult>> Issue(ApiKeyId id)
        {
            var answered = false;
            try
            {
                var salt = ApiKeySecret.NewSalt();
                var sandbox = await TenantView.Find(documents, tenant, cancellation) is { Sandbox: true };
                var command = new Command(
                    id, tenant, caller.Scope, request.Scope, request.Name,
                    ApiKeySecret.HashOf(ApiKeySecret.Derive(IssuerKey(http), salt, id)), salt, clock.Now());
                var decided = await store.Decide<ApiKey, ApiKeyEvent>(
                    ApiKey.Stream(tenant, id), key => Decide(command, key), caller.Cause, cancellation, events => Publish(events, sandbox));
                if (decided.Refusal is { } refusal)
                    return refusal.ToProblem();

                await keys.Complete(
                    tenant.Value, idempotencyKey!,
                    new(StatusCodes.Status201Created, ContentType: null, Location: null, Encoding.ASCII.GetBytes(id.ToString())),
                    CancellationToken.None);
                answered = true;
                return Told(decided.State.Issued!);
            }
            finally
            {
                if (!answered)
                    await keys.Abandon(tenant.Value, idempotencyKey!, CancellationToken.None);
            }
        }

        async Task<Results<Created<IssuedApiKey>, ProblemHttpResult>> Again(ApiKeyId id) =>
            Told((await store.Load<ApiKey, ApiKeyEvent>(ApiKey.Stream(tenant, id), cancellation)).State.Issued!);

        Results<Created<IssuedApiKey>, ProblemHttpResult> Told(ApiKeyIssued issued)
        {
            var key = ApiKeySecret.Derive(IssuerKey(http), issued.Salt, issued.ApiKeyId);
            return ApiKeySecret.HashOf(key) == issued.KeyHash
                ? TypedResults.Created(
                    $"/v1/api-keys/{issued.ApiKeyId}",
                    new IssuedApiKey(issued.ApiKeyId, issued.TenantId, issued.Name, issued.Scope, key, issued.At))
                : Problems.Problem(
                    StatusCodes.Status409Conflict, "api_key.issued_by_another",
                    "The key was issued to another caller, who alone can see it again.");
        }
    }

    private static string IssuerKey(HttpContext http) => http.Request.Headers.Authorization.ToString()["Bearer ".Length..];
}
