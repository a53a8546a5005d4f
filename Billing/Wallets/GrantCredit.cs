using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

/// <summary>Gives a tenant credit that its next invoices use.</summary>
public static class GrantCredit
{
    public const int PriorityMax = 100, PriorityDefault = 50;

    public const string GrantableRule = "More than nothing and no more than a wallet holds.";

    // So far below what 64 bits hold that no wallet overflows.
    private const long MinorUnitsMax = 1_000_000_000_000_00;

    public static bool IsGrantable(Money amount) => amount.MinorUnits is > 0 and <= MinorUnitsMax;

    /// <param name="Amount">Above zero, in the tenant's currency.</param>
    /// <param name="Kind"><c>prepaid</c> or <c>promotional</c>.</param>
    /// <param name="Priority">0 to 100, 50 if absent; the lower is used first.</param>
    /// <param name="ExpiresAt">In the future; it never expires if absent.</param>
    /// <param name="Reason">1 to 500 characters; the tenant reads it.</param>
    public sealed record NewGrant(
        Money Amount, CreditKind Kind, string Reason, int Priority = PriorityDefault, Instant? ExpiresAt = null);

    /// <param name="Currency">The tenant's.</param>
    public sealed record Command(
        CreditGrantId GrantId, Money Amount, CreditKind Kind, int Priority, Instant? ExpiresAt, string Reason, Currency Currency,
        Instant At);

    public static Decision<WalletEvent> Decide(Command command, Wallet wallet)
    {
        if (wallet.Find(command.GrantId) is not null)
            return [];
        if (command.Amount.Currency != command.Currency)
            return Refusal.Because("wallet.currency_differs", $"The tenant is billed in {command.Currency}.", "amount");
        if (command.Kind is CreditKind.Adjustment)
            return Refusal.Because("wallet.kind_reserved", "An adjustment comes from an invoice; issue a credit note.", "kind");
        if (command.ExpiresAt <= command.At)
            return Refusal.Because("wallet.expires_in_past", "Credit expires in the future or never.", "expires_at");

        return
        [
            new CreditGranted(
                command.GrantId, command.Amount, command.Kind, command.Priority, command.ExpiresAt, command.Reason, command.At),
        ];
    }

    public static void Map(RouteGroupBuilder wallet) =>
        wallet.MapPost("/grants", Handle).WithName(nameof(GrantCredit)).ForOperators().Idempotent();

    private static async Task<Results<Created<CreditGrantView>, ProblemHttpResult>> Handle(
        NewGrant request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, BillingDatabase database,
        TenantClock clock, CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(IsGrantable(request.Amount), "amount", GrantableRule)
            .Require(request.Priority is >= 0 and <= PriorityMax, "priority", "0 to 100.")
            .RequireReason(request.Reason)
            .ThrowIfAny();
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var command = new Command(
            new(requestId.Value), request.Amount, request.Kind, request.Priority, request.ExpiresAt?.ToMicroseconds(), request.Reason,
            tenant.Currency, await clock.Now(tenant.TenantId, cancellation));
        var decided = await store.Decide<Wallet, WalletEvent>(
            Wallet.Stream(tenant.TenantId), wallet => Decide(command, wallet), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created(
                $"/v1/wallet/grants/{command.GrantId}",
                (await CreditGrantView.Find(database, tenant.TenantId, command.GrantId, cancellation))!);
    }
}
