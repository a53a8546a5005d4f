using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes a subscription's running period and invoices it, in one transaction: the period's end, the invoice with its lines,
/// its usage tree and its number, and the message that tells of it are there together or not at all.
/// </summary>
public sealed class InvoicePeriod(EventStore.EventStore store, Documents documents, RollUpUsage rollUp, TimeProvider clock)
{
    /// <param name="Subscription">As it is now.</param>
    /// <param name="InvoiceId">The invoice that was made; null where there was nothing to close.</param>
    public sealed record Outcome(Subscription Subscription, InvoiceId? InvoiceId, Refusal? Refusal);

    /// <param name="requestId">Null closes the period only if its end has come; else it ends now.</param>
    public async Task<Outcome> Close(
        TenantId tenant, SubscriptionId id, Instant asOf, Guid? requestId, Cause cause, CancellationToken cancellation)
    {
        var stream = Subscription.Stream(tenant, id);
        var known = await store.Load<Subscription, SubscriptionEvent>(stream, cancellation);
        if (!known.Exists)
            return new(known.State, InvoiceId: null, Refusal.Because("subscription.not_found", "There is no such subscription."));

        // A version of a plan and a meter never change, so they need not be read in the transaction.
        var terms = (await PlanView.Find(documents, known.State.PlanId, cancellation))?.TermsOf(known.State.PlanVersion)
            ?? throw new InvalidOperationException($"Plan {known.State.PlanId} has no version {known.State.PlanVersion}.");
        var defined = await MeterView.OfKeys(documents, terms.Charges.Select(charge => charge.Meter), cancellation);
        BilledMeter[] meters = [.. defined.Select(meter => AtVersion(meter, terms))];

        return await store.Transact(
            tenant.Value,
            cause,
            async (transaction, token) =>
            {
                // 1 decide where the period ends
                var (subscription, version) = await transaction.Load<Subscription, SubscriptionEvent>(stream, token);
                var at = clock.Now();
                // What was seen stays seen, also where retention has taken it since.
                var through = Math.Max(
                    subscription.UsageThrough, await PeriodUsage.NewestPosition(transaction.Connection, tenant, token));
                var decision = ClosePeriod.Decide(new(asOf, requestId, InvoiceId.New(), through, at), subscription);
                if (decision.Refusal is not null || decision.Events is not [PeriodClosed closed])
                    return new Outcome(subscription, InvoiceId: null, decision.Refusal);

                // 2 rate what was used in it
                var zone = DateTimeZoneProviders.Tzdb[subscription.TimeZone];
                var period = new BillingPeriod(closed.Start, closed.End);
                var whole = BillingPeriods.Containing(period.Start, subscription.BillingAnchorDay, zone);
                await rollUp.CatchUp(transaction, [.. meters.Select(meter => meter.Definition)], token);
                var usage = await PeriodUsage.Read(
                    transaction.Connection, tenant, id, subscription, period, through, meters, token);
                var brought = subscription.LastClosed is { } last
                    ? (await transaction.Load<Invoice, InvoiceEvent>(Invoice.Stream(tenant, last.InvoiceId), token)).State.CarriedForward
                    : Money.Zero(terms.Currency);
                var lines = CarriedCredit.Settle(RatePeriod.Rate(terms, period, whole, zone, usage), brought, period);

                // 3 bind the events it counts, so that each can be proved
                var counted = new InvoicedUsage(
                    [.. meters.Select(meter => meter.Definition.EventType).Distinct()], subscription.StartedAt, period, subscription.UsageThrough,
                    through);
                var tree = await UsageTree.Record(transaction, tenant, closed.InvoiceId, counted, token);

                // 4 write the invoice and give it its number
                var draft = DraftInvoice.Decide(
                    new(closed.InvoiceId, tenant, id, subscription, period, through, terms.Currency, lines, at), Invoice.Initial);
                var invoice = Fold.After(Invoice.Initial, draft.Events);
                var number = await InvoiceNumbers.Next(transaction, at.InUtc().Year, token);
                var final = FinalizeInvoice.Decide(new(number, tree, at), invoice);

                // 5 record it all at once
                await transaction.Append(
                    Invoice.Stream(tenant, closed.InvoiceId), expectedVersion: 0, token, [.. draft.Events, .. final.Events]);
                await transaction.Append(stream, version, token, closed);
                transaction.Publish(new Messages.InvoiceFinalized(
                    closed.InvoiceId, tenant, id, number, invoice.Total, period.Start, period.End, at));
                return new Outcome(Subscription.Evolve(subscription, closed), closed.InvoiceId, Refusal: null);
            },
            cancellation);
    }

    private static BilledMeter AtVersion(MeterView meter, PlanTerms terms)
    {
        var version = terms.Charges.First(charge => charge.Meter == meter.Key).MeterVersion ?? 1;
        return new(meter.Key, new(meter.MeterId, version), meter.DefinitionOf(version)
            ?? throw new InvalidOperationException($"Meter {meter.Key} has no version {version}."));
    }
}
