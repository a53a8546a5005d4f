using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

/// <summary>
/// Charges a payment method for prepaid credit. The credit is there when, and only when, the charge succeeds; the answer tells whether it
/// did, or that this is pending.
/// </summary>
public static class TopUpWallet
{
    /// <summary>Declines of automatic top-ups in a row after which the rule is switched off.</summary>
    public const int DeclinesMax = 3;

    private static readonly Duration RetryAfterFirst = Duration.FromDays(1);

    /// <param name="Amount">Above zero, in the tenant's currency.</param>
    /// <param name="PaymentMethodId">What is charged; the newest that is attached if absent.</param>
    public sealed record NewTopUp(Money Amount, PaymentMethodId? PaymentMethodId = null);

    /// <param name="Method">What to charge; null where there is none.</param>
    /// <param name="Currency">The tenant's.</param>
    public sealed record Command(PaymentId PaymentId, Money Amount, PaymentMethodId? Method, Currency Currency, Instant At);

    public static Decision<TopUpEvent> Decide(Command command, TopUps topUps)
    {
        if (command.Amount.Currency != command.Currency)
            return Refusal.Because("wallet.currency_differs", $"The tenant is billed in {command.Currency}.", "amount");
        if (command.Method is null)
            return Refusal.Because("payment_method.missing", "There is no payment method to charge.");
        if (topUps.Open is not null)
            return Refusal.Because("wallet.top_up_in_progress", "A top-up is under way; try again when its outcome is known.");

        return
        [
            new TopUpRequested(
                command.PaymentId, command.Amount, Automatic: false, ChargePayment.FirstCheck(command.At), NextAt: null, command.At),
        ];
    }

    /// <summary>What the payment that succeeded gives: one grant, which bears its id, however often the outcome is told.</summary>
    public static Decision<WalletEvent> Credit(PaymentId id, Money amount, Instant at, Wallet wallet) =>
        wallet.Find(new(id.Value)) is not null
            ? []
            :
            [
                new CreditGranted(
                    new(id.Value), amount, CreditKind.Prepaid, GrantCredit.PriorityDefault, ExpiresAt: null, "Top-up", at,
                    SourcePaymentId: id),
            ];

    /// <summary>The rule waits a day after a decline, then twice as long each time, and is switched off after the last.</summary>
    public static Decision<TopUpEvent> Decline(PaymentId id, string code, Instant at, TopUps topUps)
    {
        if (topUps.Open is not { } open || open.PaymentId != id)
            return [];
        if (!open.Automatic || topUps.Rule is not { NextAt: not null })
            return [new TopUpDeclined(id, code, NextAt: null, at)];

        var declines = topUps.Declines + 1;
        return declines < DeclinesMax
            ? [new TopUpDeclined(id, code, at + (1 << (declines - 1)) * RetryAfterFirst, at)]
            : [new TopUpDeclined(id, code, NextAt: null, at), new TopUpRuleSwitchedOff(code, at)];
    }

    public static Decision<TopUpEvent> LeaveOpen(PaymentId id, Instant at, TopUps topUps) =>
        topUps.Open is { } open && open.PaymentId == id
            ? [new TopUpUnresolved(id, ChargePayment.NextCheck(open.RequestedAt, at), at)]
            : [];

    public static void Map(RouteGroupBuilder wallet) =>
        wallet.MapPost("/top-ups", Handle).WithName(nameof(TopUpWallet)).ForAdmins().Idempotent();

    private static async Task<Results<Created<PaymentView>, ProblemHttpResult>> Handle(
        NewTopUp request, Caller caller, RequestId requestId, EventStore.EventStore store, BillingDatabase database, Documents documents,
        ChargePayment charge, TenantClock clock, CancellationToken cancellation)
    {
        new FieldErrors().Require(GrantCredit.IsGrantable(request.Amount), "amount", GrantCredit.GrantableRule).ThrowIfAny();
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var method = request.PaymentMethodId ?? await PaymentMethodRecord.Default(database, tenant.TenantId, cancellation);
        if (request.PaymentMethodId is { } named
            && await PaymentMethodRecord.Find(documents, tenant.TenantId, named, cancellation) is not { DetachedAt: null })
        {
            return Refusal.Because("payment_method.not_attached", "No such payment method is attached.", "payment_method_id").ToProblem();
        }

        var payment = new PaymentId(requestId.Value);
        var (refusal, asked) = await store.Transact<(Refusal?, bool)>(
            tenant.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var stream = Payment.Stream(tenant.TenantId, payment);
                if ((await transaction.Load<Payment, PaymentEvent>(stream, token)).Exists)
                    return (null, true);

                var at = await clock.Now(tenant.TenantId, token);
                var command = new Command(payment, request.Amount, method, tenant.Currency, at);
                var decided = await transaction.Decide<TopUps, TopUpEvent>(
                    TopUps.Stream(tenant.TenantId), topUps => Decide(command, topUps), token);
                if (decided.Refusal is not null)
                    return (decided.Refusal, false);

                var target = new TopUpTarget(Automatic: false);
                await transaction.Append(
                    stream, expectedVersion: 0, token,
                    new PaymentRequested(payment, tenant.TenantId, target, request.Amount, method!.Value, at));
                return (null, false);
            },
            cancellation);
        if (refusal is not null)
            return refusal.ToProblem();

        await charge.Proceed(tenant.TenantId, payment, asked, caller.Cause, cancellation);
        return TypedResults.Created(
            $"/v1/payments/{payment}", (await PaymentView.Find(documents, tenant.TenantId, payment, cancellation))!);
    }
}
