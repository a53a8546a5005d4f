using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes a subscription's running period and invoices it, in one transaction: the period's end, the invoice with its lines,
/// its usage tree and its number, and the message that tells of it are there together or not at all. A period of a subscription
/// that has ended takes late usage alone, and makes no invoice where there is none.
/// </summary>
public sealed class InvoicePeriod(
    EventStore.EventStore store, Documents documents, RollUpUsage rollUp, UsageLimits limits, TenantClock clock)
{
    /// <param name="Subscription">As it is now.</param>
    /// <param name="InvoiceId">The invoice that was made; null where there was nothing to close.</param>
    public sealed record Outcome(Subscription Subscription, InvoiceId? InvoiceId, Refusal? Refusal);

    /// <summary>Closes every period whose end has come: after an outage each gets an invoice of its own, in order.</summary>
    /// <returns>How many invoices it made.</returns>
    public async Task<int> CloseEnded(
        TenantId tenant, SubscriptionId id, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var count = 0;
        while (await Close(tenant, id, asOf, requestId: null, cause, cancellation) is { InvoiceId: not null })
            count++;
        return count;
    }

    /// <param name="requestId">Null closes the period only if its end has come; else it ends now.</param>
    public async Task<Outcome> Close(
        TenantId tenant, SubscriptionId id, Instant asOf, Guid? requestId, Cause cause, CancellationToken cancellation)
    {
        var stream = Subscription.Stream(tenant, id);
        var known = await store.Load<Subscription, SubscriptionEvent>(stream, cancellation);
        if (!known.Exists)
            return new(known.State, InvoiceId: null, Refusal.Because("subscription.not_found", "There is no such subscription."));

        // Read before the lane is held; only if the plan is changed meanwhile, again.
        var plansKnown = await BilledPlan.Of(documents, known.State, cancellation);

        return await store.Transact(
            tenant.Value,
            cause,
            async (transaction, token) =>
            {
                // 1 decide where the period ends
                var (subscription, version) = await transaction.Load<Subscription, SubscriptionEvent>(stream, token);
                var at = await clock.Now(tenant, token);
                // What was seen stays seen, also where retention has taken it since.
                var through = Math.Max(
                    subscription.UsageThrough, await PeriodUsage.NewestPosition(transaction.Connection, tenant, token));
                var command = new ClosePeriod.Command(asOf, requestId, InvoiceId.New(), through, limits.AgeMax, at);
                var decision = ClosePeriod.Decide(command, subscription);
                if (decision.Refusal is not null || decision.Events is not [PeriodClosed closed, ..])
                    return new Outcome(subscription, InvoiceId: null, decision.Refusal);

                // 2 rate what was used in it
                var period = new BillingPeriod(closed.Start, closed.End);
                var used = subscription.EndedAt is { } ended ? new BillingPeriod(ended, ended) : period;
                var plans = subscription.Plans.SequenceEqual(known.State.Plans)
                    ? plansKnown
                    : await BilledPlan.Of(documents, subscription, token);
                await rollUp.CatchUp(
                    transaction, [.. plans.SelectMany(plan => plan.Meters).Select(meter => meter.Definition)], token);
                var rated = await BilledPlan.Rate(
                    transaction.Connection, tenant, id, subscription, plans, period, used, through, token);
                if (subscription.EndedAt is not null && rated.Count == 0)
                {
                    var nothing = ClosePeriod.NothingLate(command, subscription);
                    if (nothing.Events.Count > 0)
                        await transaction.Append(stream, version, token, nothing.Events);
                    return new Outcome(subscription, InvoiceId: null, nothing.Refusal);
                }

                var brought = await Brought(transaction, tenant, subscription.LastClosed, token) ?? Money.Zero(plans[^1].Terms.Currency);
                var lines = CarriedCredit.Settle(rated, brought, period);

                // 3 bind the events it counts, so that each can be proved
                var counted = new InvoicedUsage(
                    [.. plans.SelectMany(plan => plan.Types(used))], used, subscription.UsageThrough, through);
                var tree = await UsageTree.Record(transaction, tenant, closed.InvoiceId, counted, token);

                // 4 write the invoice and give it its number
                var draft = DraftInvoice.Decide(
                    new(closed.InvoiceId, tenant, id, subscription, period, through, brought.Currency, lines, at), Invoice.Initial);
                var invoice = Fold.After(Invoice.Initial, draft.Events);
                var number = await InvoiceNumbers.Next(transaction, at.InUtc().Year, token);
                var final = FinalizeInvoice.Decide(new(number, tree, at), invoice);

                // 5 record it all at once
                IReadOnlyList<SubscriptionEvent> changes =
                [
                    closed with { Credit = invoice.CarriedForward.MinorUnits > 0 ? invoice.CarriedForward : null },
                    .. decision.Events.Skip(1),
                ];
                await transaction.Append(
                    Invoice.Stream(tenant, closed.InvoiceId), expectedVersion: 0, token, [.. draft.Events, .. final.Events]);
                await transaction.Append(stream, version, token, changes);
                transaction.Publish(new Messages.InvoiceFinalized(
                    closed.InvoiceId, tenant, id, number, invoice.Total, period.Start, period.End, at));
                return new Outcome(Fold.After(subscription, changes), closed.InvoiceId, Refusal: null);
            },
            cancellation);
    }

    // The credit of the invoice before; null where there was none.
    private static async Task<Money?> Brought(
        EventTransaction transaction, TenantId tenant, PeriodClosed? last, CancellationToken cancellation) => last is null
        ? null
        : (await transaction.Load<Invoice, InvoiceEvent>(Invoice.Stream(tenant, last.InvoiceId), cancellation)).State.CarriedForward;
}
