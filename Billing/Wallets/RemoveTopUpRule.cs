using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

/// <summary>From now on the wallet is not topped up by itself; a top-up that is under way goes on.</summary>
public static class RemoveTopUpRule
{
    public static Decision<TopUpEvent> Decide(Instant at, TopUps topUps) =>
        topUps.Rule is null ? [] : [new TopUpRuleRemoved(at)];

    public static void Map(RouteGroupBuilder wallet) =>
        wallet.MapDelete("/top-up-rule", Handle).WithName(nameof(RemoveTopUpRule)).ForAdmins().Idempotent();

    private static async Task<NoContent> Handle(
        Caller caller, EventStore.EventStore store, TenantClock clock, CancellationToken cancellation)
    {
        var at = await clock.Now(caller.TenantId, cancellation);
        await store.Decide<TopUps, TopUpEvent>(
            TopUps.Stream(caller.TenantId), topUps => Decide(at, topUps), caller.Cause, cancellation);
        return TypedResults.NoContent();
    }
}
