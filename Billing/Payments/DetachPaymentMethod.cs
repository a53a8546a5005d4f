using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>From now on the payment method is charged no more; a charge that is under way goes on.</summary>
public static class DetachPaymentMethod
{
    public static Decision<PaymentMethodEvent> Decide(Instant at, PaymentMethod method) => method.Status switch
    {
        PaymentMethodStatus.Missing => Refusal.Because("payment_method.not_found", "There is no such payment method."),
        PaymentMethodStatus.Detached => [],
        _ => [new PaymentMethodDetached(at)],
    };

    public static void Map(RouteGroupBuilder methods) =>
        methods.MapPost("/{id}/detach", Handle).WithName(nameof(DetachPaymentMethod)).ForAdmins().Idempotent();

    private static async Task<Results<NoContent, ProblemHttpResult>> Handle(
        PaymentMethodId id, Caller caller, EventStore.EventStore store, TenantClock clock, CancellationToken cancellation)
    {
        var at = await clock.Now(caller.TenantId, cancellation);
        var decided = await store.Decide<PaymentMethod, PaymentMethodEvent>(
            PaymentMethod.Stream(caller.TenantId, id), method => Decide(at, method), caller.Cause, cancellation);
        return decided.Refusal is { } refusal ? refusal.ToProblem() : TypedResults.NoContent();
    }
}
