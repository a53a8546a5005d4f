using NodaTime;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Dunning;

/// <summary>
/// Takes every step that is due to have invoices paid: charges them, asks what became of open charges, duns, and suspends the tenant
/// where that ends in vain. A charge is recorded before it is made, so two runners never make two.
/// </summary>
public sealed class CollectInvoices(
    EventStore.EventStore store, BillingDatabase database, ChargePayment charge, TenantClock clock) : IDueWork
{
    public string Name => "collect_invoice";

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        Receivables.Due(database, asOf, after, limit, cancellation);

    public async Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        await Receivables.Due(database, tenant, upTo, cancellation) is [var first, ..] ? first.At : null;

    /// <returns>How many charges it made or asked after.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var charges = 0;
        foreach (var (invoice, _) in await Receivables.Due(database, tenant, asOf, cancellation))
        {
            while (await Step(tenant, invoice, asOf, cause, cancellation) is { } step)
            {
                if (step.Payment is not { } payment)
                    continue;

                charges++;
                if (!await charge.Proceed(tenant, payment, step.Asked, cause, cancellation))
                    break;
            }
        }

        return charges;
    }

    /// <summary>One step in one transaction; null where nothing is due any more.</summary>
    private async Task<Taken?> Step(TenantId tenant, InvoiceId id, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var method = await PaymentMethodRecord.Default(database, tenant, cancellation);
        return await store.Transact<Taken?>(
            tenant.Value,
            cause,
            async (transaction, token) =>
            {
                var stream = Invoice.Stream(tenant, id);
                var (invoice, version) = await transaction.Load<Invoice, InvoiceEvent>(stream, token);
                if (invoice.Settlement?.Payment is { } open)
                    return open.CheckAt <= asOf ? new(open.PaymentId, Asked: true) : null;

                var at = await clock.Now(tenant, token);
                if (DunInvoice.Decide(new(asOf, tenant, id, method, PaymentId.New(), at), invoice) is not { } step)
                    return null;

                await transaction.Append(stream, version, token, step.Events);
                if (step.Payment is { } payment)
                    await transaction.Append(Payment.Stream(tenant, payment.PaymentId), expectedVersion: 0, token, payment);
                var after = Fold.After<Invoice, InvoiceEvent>(invoice, step.Events);
                await TenantStanding.Reconsider(transaction, tenant, id, after, at, token);
                return new(step.Payment?.PaymentId, Asked: false);
            },
            cancellation);
    }

    /// <param name="Payment">The charge to go on with.</param>
    private sealed record Taken(PaymentId? Payment, bool Asked);
}
