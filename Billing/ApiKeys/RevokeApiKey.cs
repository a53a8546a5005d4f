using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.ApiKeys;

/// <summary>Ends a key: from the next request on it is unknown here, and elsewhere as soon as the message arrives.</summary>
public static class RevokeApiKey
{
    public sealed record Command(ApiKeyId ApiKeyId, Instant At);

    public static Decision<ApiKeyEvent> Decide(Command command, ApiKey key) => key.Status switch
    {
        ApiKeyStatus.Missing => Refusal.Because("api_key.not_found", "There is no such api key."),
        ApiKeyStatus.Revoked => [],
        _ => [new ApiKeyRevoked(command.ApiKeyId, command.At)],
    };

    public static void Map(RouteGroupBuilder keys) =>
        keys.MapPost("/{id}/revoke", Handle).WithName(nameof(RevokeApiKey)).ForAdmins().Idempotent();

    private static async Task<Results<NoContent, ProblemHttpResult>> Handle(
        ApiKeyId id, Caller caller, EventStore.EventStore store, TimeProvider clock, CancellationToken cancellation)
    {
        var command = new Command(id, clock.Now());
        var decided = await store.Decide<ApiKey, ApiKeyEvent>(
            ApiKey.Stream(caller.TenantId, id), key => Decide(command, key), caller.Cause, cancellation,
            events => events.OfType<ApiKeyRevoked>()
                .Select(it => new Messages.ApiKeyRevoked(it.ApiKeyId, caller.TenantId, it.At)));

        return decided.Refusal is { } refusal ? refusal.ToProblem() : TypedResults.NoContent();
    }
}
