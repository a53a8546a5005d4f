using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// Changes how many times a subscription owes its plan's fee, seats for example. The running period goes on, with its tiers and its
/// usage; the fee of each part of it is settled when it ends.
/// </summary>
public static class ChangeQuantity
{
    public const int QuantityMax = 1_000_000;

    /// <param name="Quantity">1 to 1000000.</param>
    /// <param name="When">Needed unless <paramref name="EffectiveAt"/> says it.</param>
    /// <param name="EffectiveAt">An instant of the running period, also one that is over.</param>
    public sealed record QuantityChange(int Quantity, ChangeTime? When = null, Instant? EffectiveAt = null);

    /// <param name="Now">The instant of the request; periods that ended before are closed already.</param>
    public sealed record Command(int Quantity, ChangeTime? When, Instant? EffectiveAt, Instant Now);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (RunningPeriod.RefuseFee(subscription, command.When, command.Now) is { } refusal)
            return refusal;

        var effective = command.EffectiveAt ?? RunningPeriod.Time(subscription, command.When!.Value, command.Now);
        if (effective < subscription.PeriodStart || effective > subscription.PeriodEnd)
        {
            return Refusal.Because(
                "subscription.not_in_period", "A change takes effect within the running period; earlier ones are invoiced.", "effective_at");
        }

        return subscription.Fee.WithQuantity(command.Quantity, effective) == subscription.Fee
            ? []
            : [new QuantityChanged(command.Quantity, effective, command.Now)];
    }

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/{id}/change-quantity", Handle).WithName(nameof(ChangeQuantity)).ForAdmins().Idempotent();

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Handle(
        SubscriptionId id, QuantityChange request, Caller caller, ChangeSubscription change, TenantClock clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(request.Quantity is >= 1 and <= QuantityMax, "quantity", "1 to 1000000.")
            .Require(request.When is null != request.EffectiveAt is null, "when", "Either when or effective_at is needed.")
            .ThrowIfAny();

        var now = await clock.Now(caller.TenantId, cancellation);
        var command = new Command(request.Quantity, request.When, request.EffectiveAt?.ToMicroseconds(), now);
        return await change.Apply(
            caller, id, now, (_, subscription, _) => Task.FromResult(Decide(command, subscription)), cancellation);
    }
}
