using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

/// <summary>
/// Says when the wallet is topped up by itself, in place of what was said before. A rule that was switched off is on again.
/// </summary>
public static class SetTopUpRule
{
    /// <param name="Threshold">Above zero: where less than this is usable, the wallet is topped up.</param>
    /// <param name="Amount">At least the threshold, so that one top-up is enough.</param>
    /// <param name="MonthlyMax">Of what the rule asks for in a calendar month of the tenant's zone; no limit if absent.</param>
    public sealed record NewTopUpRule(Money Threshold, Money Amount, Money? MonthlyMax = null)
    {
        public TopUpTerms ToTerms() => new(Threshold, Amount, MonthlyMax);
    }

    /// <param name="Currency">The tenant's.</param>
    /// <param name="Zone">The tenant's.</param>
    /// <param name="HasMethod">There is a payment method to charge.</param>
    public sealed record Command(TopUpTerms Terms, Currency Currency, DateTimeZone Zone, bool HasMethod, Instant At);

    public static Decision<TopUpEvent> Decide(Command command, TopUps topUps)
    {
        var terms = command.Terms;
        foreach (var (field, money) in new[] { ("threshold", terms.Threshold), ("amount", terms.Amount), ("monthly_max", terms.MonthlyMax) })
        {
            if (money is { } given && given.Currency != command.Currency)
                return Refusal.Because("wallet.currency_differs", $"The tenant is billed in {command.Currency}.", field);
        }

        if (terms.Amount < terms.Threshold)
            return Refusal.Because("top_up_rule.amount_too_low", "One top-up brings the wallet to the threshold or above.", "amount");
        if (terms.MonthlyMax < terms.Amount)
            return Refusal.Because("top_up_rule.monthly_max_too_low", "One top-up fits into a month.", "monthly_max");
        if (topUps.Rule is { NextAt: not null } rule && rule.Terms == terms)
            return [];
        if (!command.HasMethod)
            return Refusal.Because("payment_method.missing", "There is no payment method to charge.");

        return [new TopUpRuleSet(terms, topUps.Earliest(terms, command.At, command.Zone), command.At)];
    }

    public static void Map(RouteGroupBuilder wallet) =>
        wallet.MapPut("/top-up-rule", Handle).WithName(nameof(SetTopUpRule)).ForAdmins().Idempotent();

    private static async Task<Results<Ok<TopUpRuleView>, ProblemHttpResult>> Handle(
        NewTopUpRule request, Caller caller, EventStore.EventStore store, BillingDatabase database, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(GrantCredit.IsGrantable(request.Threshold), "threshold", GrantCredit.GrantableRule)
            .Require(GrantCredit.IsGrantable(request.Amount), "amount", GrantCredit.GrantableRule)
            .Require(request.MonthlyMax is not { } most || GrantCredit.IsGrantable(most), "monthly_max", GrantCredit.GrantableRule)
            .ThrowIfAny();
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var command = new Command(
            request.ToTerms(), tenant.Currency, DateTimeZoneProviders.Tzdb[tenant.TimeZone],
            await PaymentMethodRecord.Default(database, tenant.TenantId, cancellation) is not null,
            await clock.Now(tenant.TenantId, cancellation));
        var decided = await store.Decide<TopUps, TopUpEvent>(
            TopUps.Stream(tenant.TenantId), topUps => Decide(command, topUps), caller.Cause, cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Ok((await TopUpRuleView.Find(database, tenant.TenantId, cancellation))!);
    }
}
