using NodaTime;
using Platform.Billing.Coupons;
using Platform.Billing.Entitlements;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;
using Messages = Platform.Contracts.Messages;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes running periods of a tenant's subscriptions and invoices them, in one transaction: the periods' ends, the invoice with its
/// lines, its usage tree and its number, and the message that tells of it are there together or not at all. Periods that end at one
/// instant are on one invoice. A period of a subscription that has ended takes late usage alone, and makes no invoice where there is
/// none.
/// </summary>
public sealed class InvoicePeriod(
    EventStore.EventStore store, Documents documents, ComposeInvoice compose, BilledPlans plans, RollUpUsage rollUp, UsageLimits limits,
    TenantClock clock)
{
    /// <param name="InvoiceId">The invoice that was made; null where there was nothing to invoice.</param>
    /// <param name="NextEnd">When the first of the periods that follow ends; null where none follows.</param>
    public sealed record Outcome(InvoiceId? InvoiceId, Refusal? Refusal, Instant? NextEnd = null);

    private sealed record Ending(
        SubscriptionId Id, Subscription Subscription, long Version, ClosePeriod.Command Command, IReadOnlyList<SubscriptionEvent> Events);

    /// <summary>
    /// Closes every period of the tenant whose end has come: after an outage each end gets an invoice of its own, in order.
    /// </summary>
    /// <returns>How many invoices it made.</returns>
    public async Task<int> CloseEnded(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        for (var made = 0; ;)
        {
            var (outcome, more) = await store.Transact(
                tenant.Value, cause, (transaction, token) => CloseFirst(transaction, tenant, asOf, token), cancellation);
            if (outcome.InvoiceId is not null)
                made++;
            if (!more)
                return made;
        }
    }

    /// <returns>What became of the periods that ended first, and whether others have ended too, by then or by closing these.</returns>
    private async Task<(Outcome Outcome, bool More)> CloseFirst(
        EventTransaction transaction, TenantId tenant, Instant asOf, CancellationToken cancellation)
    {
        var together = new RoundTrip(transaction.Connection);
        var ended = BillingPeriodRows.Ended(together, tenant, asOf);
        await together.Send(cancellation);
        if (ended.Value is not [var first, ..])
            return (new(InvoiceId: null, Refusal: null), More: false);

        var due = ended.Value.TakeWhile(it => it.End == first.End).Select(it => it.Id).ToList();
        var outcome = await Close(transaction, tenant, due, asOf, requestId: null, cancellation);
        return (outcome, outcome.Refusal is null && (due.Count < ended.Value.Count || outcome.NextEnd <= asOf));
    }

    /// <summary>Ends one subscription's running period now, after those whose end has come by itself.</summary>
    /// <param name="requestId">The same request ends one period only, and finds the invoice that it made.</param>
    public async Task<Outcome> CloseNow(
        TenantId tenant, SubscriptionId id, Instant asOf, Guid requestId, Cause cause, CancellationToken cancellation)
    {
        await CloseEnded(tenant, asOf, cause, cancellation);
        return await store.Transact(
            tenant.Value, cause, (transaction, token) => Close(transaction, tenant, [id], asOf, requestId, token), cancellation);
    }

    /// <summary>Ends one subscription's running period now if its use has come to the threshold, so that one crossing makes one invoice.</summary>
    /// <returns>Whether it made the invoice.</returns>
    public async Task<bool> CloseAtThreshold(
        TenantId tenant, SubscriptionId id, Instant asOf, Money threshold, Cause cause, CancellationToken cancellation) =>
        await store.Transact(
            tenant.Value,
            cause,
            (transaction, token) => Close(transaction, tenant, [id], asOf, requestId: null, token, threshold),
            cancellation) is { Refusal: null, InvoiceId: not null };

    private async Task<Outcome> Close(
        EventTransaction transaction, TenantId tenant, IReadOnlyList<SubscriptionId> ids, Instant asOf, Guid? requestId,
        CancellationToken cancellation, Money? threshold = null)
    {
        // 1 read what does not depend on each other
        var (at, invoiceId) = (await clock.Now(tenant, cancellation), InvoiceId.New());
        var together = new RoundTrip(transaction.Connection);
        var newest = PeriodUsage.NewestPosition(together, tenant);
        var behind = RollUpUsage.BehindOf(together, tenant);
        var records = InvoiceTerms.OfTenant(together, tenant);
        var payer = transaction.Load<Tenant, TenantEvent>(Tenant.Stream(tenant), together);
        var wallet = transaction.Load<Wallet, WalletEvent>(Wallet.Stream(tenant), together);
        var subscriptions = ids
            .Select(id => (Id: id, Loaded: transaction.Load<Subscription, SubscriptionEvent>(Subscription.Stream(tenant, id), together)))
            .ToList();
        await together.Send(cancellation);

        // 2 decide where the periods end
        var endings = new List<Ending>();
        foreach (var (id, loaded) in subscriptions)
        {
            var (subscription, version) = loaded.Value;
            // What was seen stays seen, also where retention has taken it since.
            var command = new ClosePeriod.Command(
                asOf, requestId, invoiceId, Math.Max(subscription.UsageThrough, newest.Value), limits.AgeMax, at,
                EndsNow: threshold is not null);
            var decision = ClosePeriod.Decide(command, subscription);
            if (decision.Refusal is not null)
                return new(InvoiceId: null, decision.Refusal);
            if (decision.Events is not [PeriodClosed, ..])
                return new(threshold is null ? subscription.LastClosed?.InvoiceId : null, Refusal: null);
            endings.Add(new(id, subscription, version, command, decision.Events));
        }

        // The oldest subscription stands first on the invoice.
        endings = [.. endings.OrderBy(ending => ending.Subscription.Plans[0].Start).ThenBy(ending => ending.Id.Value)];

        // 3 compose the invoice, from roll-ups that know all of the ledger
        var through = endings.Max(ending => ending.Command.UsageThrough);
        foreach (var ending in endings)
        {
            var billed = await plans.Of(tenant, ending.Subscription, cancellation);
            await rollUp.CatchUp(
                transaction, behind.Value, [.. billed.SelectMany(plan => plan.Meters).Select(meter => meter.Definition)], cancellation);
        }

        var content = await compose.Compose(
            transaction.Connection, tenant, [.. endings.Select(Period)],
            await InvoiceTerms.KnownAt(at, records.Value, documents, cancellation), through, cancellation);

        // Another runner has invoiced what had come to the threshold.
        if (threshold is { } bound && !InvoiceAtThreshold.IsReached(bound, content?.Lines ?? []))
            return new(InvoiceId: null, Refusal: null);

        // 4 where nothing came late, say so and make no invoice of it
        var (appends, follow) = (new List<StreamAppend>(), new List<SubscriptionEvent>());
        foreach (var ending in endings.Where(ending => content?.Periods.Any(it => it.SubscriptionId == ending.Id) != true))
        {
            var nothing = ClosePeriod.NothingLate(ending.Command, ending.Subscription);
            if (nothing.Refusal is not null)
                return new(InvoiceId: null, nothing.Refusal);
            appends.Add(new(Subscription.Stream(tenant, ending.Id), ending.Version, nothing.Events));
            follow.AddRange(nothing.Events);
        }

        if (content is null)
        {
            await transaction.Append(appends, cancellation);
            return new(InvoiceId: null, Refusal: null, NextEnd(follow));
        }

        // 5 bind the events that it counts, so that each can be proved
        var (tree, treeHead) = await UsageTree.Of(transaction.Connection, tenant, content.Usage, cancellation);
        tree.Record(together, tenant, invoiceId);
        var draft = DraftInvoice.Decide(new(invoiceId, tenant, content, at, threshold is not null), Invoice.Initial);
        var invoice = Fold.After(Invoice.Initial, draft.Events);

        // 6 let credit pay what it can, or take in what is owed to the tenant
        var (credit, creditVersion) = wallet.Value;
        var settled = SettleInvoice.Decide(new(invoiceId, invoice.Total, at), credit);
        var terms = PaymentTerms.Of(payer.Value.State.Settings, payer.Value.State.TimeZone, at);
        if (settled.Events.Count > 0)
            appends.Add(new(Wallet.Stream(tenant), creditVersion, settled.Events));
        foreach (var ending in endings.Where(ending => content.Periods.Any(it => it.SubscriptionId == ending.Id)))
        {
            appends.Add(new(Subscription.Stream(tenant, ending.Id), ending.Version, ending.Events));
            follow.AddRange(ending.Events);
        }

        foreach (var discount in content.Discounts)
        {
            await transaction.Decide<CouponRedemption, CouponRedemptionEvent>(
                CouponRedemption.Stream(tenant, discount.Coupon.RedemptionId),
                _ => [new RedemptionApplied(invoiceId, content.CalendarEnd, discount.Amount, at)], cancellation);
        }

        // 7 take the number and record all of it: every other close waits from the number to the commit
        var number = InvoiceNumbers.Next(together, tenant, at.InUtc().Year);
        await together.Send(cancellation);
        var final = FinalizeInvoice.Decide(
            new(number.Value, treeHead, terms, [.. settled.Events.OfType<CreditConsumed>().SelectMany(it => it.Parts)], at), invoice);
        appends.Add(new(Invoice.Stream(tenant, invoiceId), ExpectedVersion: 0, [.. draft.Events, .. final.Events]));
        transaction.Publish(new Messages.InvoiceFinalized(
            invoiceId, tenant, [.. content.Periods.Select(it => it.SubscriptionId)], number.Value,
            Fold.After(invoice, final.Events).Total, content.Period.Start, content.Period.End, at));
        await transaction.Append(appends, cancellation);
        await RecordEntitlements.After([.. endings.SelectMany(ending => ending.Events)], transaction, documents, at, cancellation);
        return new(invoiceId, Refusal: null, NextEnd(follow));

        static Instant? NextEnd(IEnumerable<SubscriptionEvent> events) => events.Min(it => it switch
        {
            PeriodClosed closed => closed.NextEnd,
            NothingLate nothing => nothing.NextEnd,
            _ => (Instant?)null,
        });

        static EndingPeriod Period(Ending ending)
        {
            var closed = (PeriodClosed)ending.Events[0];
            return new(ending.Id, ending.Subscription, new(closed.Start, closed.End));
        }
    }
}
