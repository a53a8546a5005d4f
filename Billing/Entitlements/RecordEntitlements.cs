using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.Entitlements;

/// <summary>
/// Works out what a tenant's running subscriptions grant, in the transaction that changed one of them, and tells the other processes
/// where that is something else than before.
/// </summary>
public static class RecordEntitlements
{
    /// <param name="Running">What each running subscription's plan grants.</param>
    public sealed record Command(TenantId TenantId, IReadOnlyCollection<Grants> Running, Instant At);

    public static Decision<EntitlementsEvent> Decide(Command command, TenantEntitlements entitlements) =>
        Grants.Together(command.Running) is var grants && grants == entitlements.Grants
            ? []
            : [new EntitlementsChanged(command.TenantId, entitlements.Version + 1, grants, command.At)];

    /// <param name="changes">What was appended to a subscription of the tenant in this transaction.</param>
    public static async Task After(
        IReadOnlyList<SubscriptionEvent> changes, EventTransaction transaction, Documents documents, Instant at,
        CancellationToken cancellation)
    {
        // Periods that go by are most of a subscription's events, and alter nothing of what it grants.
        if (changes.All(change => change is PeriodClosed or NothingLate))
            return;

        var tenant = TenantId.From(transaction.TenantId);
        var running = new List<Grants>();
        foreach (var subscription in await SubscriptionView.All(transaction, cancellation))
        {
            // Versions of plans never change, so they need not be read in the transaction.
            if (subscription.EndedAt is null
                && await PlanView.Find(documents, subscription.PlanId, cancellation) is { } plan
                && plan.EntitlementsOf(subscription.PlanVersion) is { } grants)
            {
                running.Add(grants);
            }
        }

        var stream = TenantEntitlements.Stream(tenant);
        var (entitlements, version) = await transaction.Load<TenantEntitlements, EntitlementsEvent>(stream, cancellation);
        var decision = Decide(new(tenant, running, at), entitlements);
        if (decision.Events.Count == 0)
            return;

        await transaction.Append(stream, version, cancellation, decision.Events);
        foreach (var it in decision.Events.OfType<EntitlementsChanged>())
            transaction.Publish(new Messages.EntitlementsChanged(tenant, it.Version, it.Grants.Features, it.Grants.Limits, at));
    }
}
