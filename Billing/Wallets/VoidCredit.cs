using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

/// <summary>Takes back what is left of a gift or prepayment that was a mistake. What invoices consumed of it stays consumed.</summary>
public static class VoidCredit
{
    /// <param name="Reason">1 to 500 characters; the tenant reads it.</param>
    public sealed record Voiding(string Reason);

    public sealed record Command(CreditGrantId GrantId, string Reason, Instant At);

    public static Decision<WalletEvent> Decide(Command command, Wallet wallet) => wallet.Find(command.GrantId) switch
    {
        null => Refusal.Because("credit_grant.not_found", "There is no such grant."),
        { Kind: CreditKind.Adjustment } => Refusal.Because(
            "wallet.adjustment_owed", "An adjustment was taken back from an invoice, so it is owed to the tenant."),
        { SourcePaymentId: not null } => Refusal.Because(
            "wallet.credit_bought", "The credit was bought by a top-up; refund its payment instead."),
        { Remaining.MinorUnits: 0 } => [],
        var grant => [new CreditVoided(grant.GrantId, grant.Kind, grant.Remaining, command.Reason, command.At)],
    };

    public static void Map(RouteGroupBuilder wallet) =>
        wallet.MapPost("/grants/{id}/void", Handle).WithName(nameof(VoidCredit)).ForOperators().Idempotent();

    private static async Task<Results<Ok<CreditGrantView>, ProblemHttpResult>> Handle(
        CreditGrantId id, Voiding request, Caller caller, EventStore.EventStore store, BillingDatabase database, TenantClock clock,
        CancellationToken cancellation)
    {
        new FieldErrors().RequireReason(request.Reason).ThrowIfAny();

        var command = new Command(id, request.Reason, await clock.Now(caller.TenantId, cancellation));
        var decided = await store.Decide<Wallet, WalletEvent>(
            Wallet.Stream(caller.TenantId), wallet => Decide(command, wallet), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await CreditGrantView.Find(database, caller.TenantId, id, cancellation))!);
    }
}
