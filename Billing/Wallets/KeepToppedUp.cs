using NodaTime;
using Platform.Billing.Payments;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

/// <summary>
/// Tops wallets up where their rule says so, and asks what became of open top-ups. A charge is recorded before it is made, so two runners
/// never make two.
/// </summary>
public sealed class KeepToppedUp(
    EventStore.EventStore store, BillingDatabase database, Documents documents, ChargePayment charge, TenantClock clock) : IDueWork
{
    public string Name => "top_up_wallet";

    /// <param name="AsOf">What may be asked for up to here is due.</param>
    /// <param name="Usable">What an invoice finalized now could use of the wallet.</param>
    /// <param name="Method">What to charge; null where there is none.</param>
    /// <param name="PaymentId">For the charge, if there is one.</param>
    /// <param name="Zone">The tenant's.</param>
    public sealed record Command(
        Instant AsOf, TenantId TenantId, Money Usable, PaymentMethodId? Method, PaymentId PaymentId, DateTimeZone Zone, Instant At);

    /// <param name="Payment">A charge that now has to be made.</param>
    public sealed record Step(TopUpEvent Event, PaymentRequested? Payment);

    /// <summary>What is to be done next; null where there is enough credit, or the rule waits.</summary>
    public static Step? Decide(Command command, TopUps topUps)
    {
        if (topUps is not { Open: null, Rule: { NextAt: { } next } rule } || next > command.AsOf || command.Usable >= rule.Terms.Threshold)
            return null;
        if (command.Method is not { } method)
            return new(new TopUpRuleSwitchedOff("payment_method.missing", command.At), Payment: null);

        var requested = new TopUpRequested(
            command.PaymentId, rule.Terms.Amount, Automatic: true, ChargePayment.FirstCheck(command.At), NextAt: null, command.At);
        return new(
            requested with { NextAt = TopUps.Evolve(topUps, requested).Earliest(rule.Terms, command.At, command.Zone) },
            new(command.PaymentId, command.TenantId, new TopUpTarget(Automatic: true), rule.Terms.Amount, method, command.At));
    }

    public Task<IReadOnlyList<DueTenant>> Due(Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        TopUpRows.Due(database, asOf, after, limit, cancellation);

    public Task<Instant?> NextDue(TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        TopUpRows.NextDue(database, tenant, upTo, cancellation);

    /// <returns>How many charges it made or asked after.</returns>
    public async Task<int> Do(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var charges = 0;
        while (await Next(tenant, asOf, cause, cancellation) is var (payment, asked))
        {
            charges++;
            if (!await charge.Proceed(tenant, payment, asked, cause, cancellation))
                break;
        }

        return charges;
    }

    /// <summary>One step in one transaction: the charge to go on with, null where there is none.</summary>
    private async Task<(PaymentId Payment, bool Asked)?> Next(TenantId tenant, Instant asOf, Cause cause, CancellationToken cancellation)
    {
        var zone = DateTimeZoneProviders.Tzdb[(await TenantView.Find(documents, tenant, cancellation))!.TimeZone];
        var method = await PaymentMethodRecord.Default(database, tenant, cancellation);
        return await store.Transact<(PaymentId, bool)?>(
            tenant.Value,
            cause,
            async (transaction, token) =>
            {
                var (topUps, version) = await transaction.Load<TopUps, TopUpEvent>(TopUps.Stream(tenant), token);
                if (topUps.Open is { } open)
                    return open.CheckAt <= asOf ? (open.PaymentId, true) : null;
                if (topUps.Rule is not { } rule)
                    return null;

                var at = await clock.Now(tenant, token);
                var (wallet, _) = await transaction.Load<Wallet, WalletEvent>(Wallet.Stream(tenant), token);
                var usable = wallet.Usable(rule.Terms.Amount.Currency, at);
                if (Decide(new(asOf, tenant, usable, method, PaymentId.New(), zone, at), topUps) is not { } step)
                    return null;

                await transaction.Append(TopUps.Stream(tenant), version, token, step.Event);
                if (step.Payment is not { } payment)
                    return null;
                await transaction.Append(Payment.Stream(tenant, payment.PaymentId), expectedVersion: 0, token, payment);
                return (payment.PaymentId, false);
            },
            cancellation);
    }
}
