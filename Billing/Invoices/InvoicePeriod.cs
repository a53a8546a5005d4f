using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes running periods of tenants' subscriptions and invoices them: the periods' ends, the invoice with its lines, its usage tree and
/// its number, and the message that tells of it are there together or not at all. Periods of a tenant that end at one instant are on
/// one invoice. A period of a subscription that has ended takes late usage alone, and makes no invoice where there is none.
/// </summary>
public sealed class InvoicePeriod(EventStore.EventStore store, InvoiceParts parts)
{
    /// <param name="InvoiceId">The invoice that was made; null where there was nothing to invoice.</param>
    /// <param name="NextEnd">When the first of the periods that follow ends; null where none follows.</param>
    public sealed record Outcome(InvoiceId? InvoiceId, Refusal? Refusal, Instant? NextEnd = null);

    /// <summary>Closes every period of the tenant whose end has come: after an outage each end gets an invoice of its own, in order.</summary>
    public Task<int> CloseEnded(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation) =>
        CloseEnded([tenant], asOf, afterGrace: false, cause, cancellation);

    /// <summary>The same for tenants of one lane, whose invoices share transactions: a number is waited for once for all.</summary>
    /// <param name="afterGrace">Only those whose tenant's days of grace are over.</param>
    /// <returns>How many invoices it made.</returns>
    public async Task<int> CloseEnded(
        IReadOnlyList<TenantId> tenants, Instant asOf, bool afterGrace, Cause cause, CancellationToken cancellation)
    {
        var made = 0;
        while (tenants.Count > 0)
        {
            var closed = await store.Transact(
                [.. tenants.Select(tenant => tenant.Value)],
                cause,
                (lane, token) => CloseFirst(lane, asOf, afterGrace, token),
                cancellation);
            made += closed.Count(it => it.Made);
            // No rule refuses this, so rows and streams disagree; the others of the group have their invoices by now.
            if (closed.FirstOrDefault(it => it.Refusal is not null) is { Refusal: { } refusal, Tenant: var refused })
                throw new InvalidOperationException($"A period of tenant {refused} has ended and is not closed: {refusal.Code}.");
            tenants = [.. closed.Where(it => it.More).Select(it => it.Tenant)];
        }

        return made;
    }

    /// <summary>Ends one subscription's running period now, after those whose end has come by itself.</summary>
    /// <param name="requestId">The same request ends one period only, and finds the invoice that it made.</param>
    public async Task<Outcome> CloseNow(
        TenantId tenant, SubscriptionId id, Instant asOf, Guid requestId, Cause cause, CancellationToken cancellation)
    {
        await CloseEnded(tenant, asOf, cause, cancellation);
        return await CloseOne(tenant, id, asOf, requestId, threshold: null, cause, cancellation);
    }

    /// <summary>Ends one subscription's running period now if its use has come to the threshold, so that one crossing makes one invoice.</summary>
    /// <returns>Whether it made the invoice.</returns>
    public async Task<bool> CloseAtThreshold(
        TenantId tenant, SubscriptionId id, Instant asOf, Money threshold, Cause cause, CancellationToken cancellation) =>
        await CloseOne(tenant, id, asOf, requestId: null, threshold, cause, cancellation) is { Refusal: null, InvoiceId: not null };

    private Task<Outcome> CloseOne(
        TenantId tenant, SubscriptionId id, Instant asOf, Guid? requestId, Money? threshold, Cause cause,
        CancellationToken cancellation) => store.Transact(
        [tenant.Value],
        cause,
        async (lane, token) =>
        {
            var closing = new Closing(parts, lane, lane.Tenants[0], [id], asOf, requestId, threshold);
            await Close(lane, [closing], token);
            return closing.Outcome;
        },
        cancellation);

    /// <returns>Of each tenant whether it got an invoice, and whether more has ended, by then or by closing this.</returns>
    private async Task<IReadOnlyList<(TenantId Tenant, bool Made, bool More, Refusal? Refusal)>> CloseFirst(
        LaneTransaction lane, Instant asOf, bool afterGrace, CancellationToken cancellation)
    {
        var together = new RoundTrip(lane.Connection);
        var asked = lane.Tenants
            .Select(tenant => (Tenant: tenant, Ended: BillingPeriodRows.Ended(together, new(tenant.TenantId), asOf, afterGrace)))
            .ToList();
        await together.Send(cancellation);

        var closings = new List<(Closing Closing, int Left)>();
        foreach (var (tenant, ended) in asked)
        {
            if (ended.Value is not [var first, ..])
                continue;
            var due = ended.Value.TakeWhile(it => it.End == first.End).Select(it => it.Id).ToList();
            closings.Add((new(parts, lane, tenant, due, asOf, RequestId: null, Threshold: null), ended.Value.Count - due.Count));
        }

        await Close(lane, [.. closings.Select(it => it.Closing)], cancellation);
        return
        [
            .. closings.Select(it => (
                it.Closing.Tenant, it.Closing.Outcome.InvoiceId is not null,
                it.Left > 0 || it.Closing.Outcome.NextEnd <= asOf, it.Closing.Outcome.Refusal)),
        ];
    }

    private static async Task Close(LaneTransaction lane, IReadOnlyList<Closing> closings, CancellationToken cancellation)
    {
        // 1 read what does not depend on anything, of all at once
        var together = new RoundTrip(lane.Connection);
        foreach (var closing in closings)
            closing.Ask(together);
        await together.Send(cancellation);

        // 2 decide where the periods end, compose each invoice, and bind what it counts
        await Step((closing, next) => closing.Decide(next, cancellation));
        await Step((closing, next) => closing.Compose(next, cancellation));
        lane.Widen(together);
        foreach (var closing in closings)
            await closing.Bind(together, cancellation);

        // 3 take the numbers and record everything: every other close waits from here to the commit
        var asked = closings.Where(closing => closing.MakesInvoice).GroupBy(closing => closing.Year).OrderBy(year => year.Key)
            .Select(year => (
                Closings: year, Numbers: InvoiceNumbers.Next(together, [.. year.Select(closing => closing.Tenant)], year.Key)))
            .ToList();
        await together.Send(cancellation);
        foreach (var (closing, number) in asked.SelectMany(it => it.Closings.Zip(it.Numbers.Value)))
            closing.Number = number;
        await lane.Append([.. closings.Select(closing => closing.Appends()).Where(it => it.Appends.Count > 0)], cancellation);
        foreach (var closing in closings)
            await closing.RecordEntitlements(cancellation);

        async Task Step(Func<Closing, RoundTrip, Task> take)
        {
            foreach (var closing in closings)
                await take(closing, together);
            lane.Widen(together);
            await together.Send(cancellation);
        }
    }
}
