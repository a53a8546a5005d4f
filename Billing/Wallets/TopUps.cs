using System.Diagnostics;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(TopUpRequested), "top_up.requested.v1")]
[JsonDerivedType(typeof(TopUpUnresolved), "top_up.unresolved.v1")]
[JsonDerivedType(typeof(TopUpSucceeded), "top_up.succeeded.v1")]
[JsonDerivedType(typeof(TopUpDeclined), "top_up.declined.v1")]
[JsonDerivedType(typeof(TopUpRuleSet), "top_up_rule.set.v1")]
[JsonDerivedType(typeof(TopUpRuleSwitchedOff), "top_up_rule.switched_off.v1")]
[JsonDerivedType(typeof(TopUpRuleRemoved), "top_up_rule.removed.v1")]
public abstract record TopUpEvent;

/// <summary>A charge for credit is under way; until its outcome is known there is no other.</summary>
/// <param name="CheckAt">When the gateway is asked for the outcome, if none has come by then.</param>
/// <param name="NextAt">From when the rule may ask for the next one, which its monthly maximum may put off; null without a rule.</param>
public sealed record TopUpRequested(
    PaymentId PaymentId, Money Amount, bool Automatic, Instant CheckAt, Instant? NextAt, Instant At) : TopUpEvent;

/// <summary>The gateway did not say how the charge ended.</summary>
/// <param name="CheckAt">When it is asked again.</param>
public sealed record TopUpUnresolved(PaymentId PaymentId, Instant CheckAt, Instant At) : TopUpEvent;

/// <summary>The amount is credit now, in a grant that bears the payment's id.</summary>
public sealed record TopUpSucceeded(PaymentId PaymentId, Money Amount, Instant At) : TopUpEvent;

/// <param name="NextAt">From when the rule may ask again; null where it does not.</param>
public sealed record TopUpDeclined(PaymentId PaymentId, string Code, Instant? NextAt, Instant At) : TopUpEvent;

/// <param name="NextAt">From when it may ask for a top-up.</param>
public sealed record TopUpRuleSet(TopUpTerms Terms, Instant NextAt, Instant At) : TopUpEvent;

/// <summary>It asks for no more until it is set anew: charges were declined too often, or there is nothing to charge.</summary>
/// <param name="Code">Why: the gateway's of the last decline, or <c>payment_method.missing</c>.</param>
public sealed record TopUpRuleSwitchedOff(string Code, Instant At) : TopUpEvent;

public sealed record TopUpRuleRemoved(Instant At) : TopUpEvent;

/// <param name="Threshold">Above zero: where less than this is usable, the wallet is topped up.</param>
/// <param name="Amount">At least the threshold, so that one top-up is enough.</param>
/// <param name="MonthlyMax">Of what the rule asks for in a calendar month of the tenant's zone; null where there is no limit.</param>
public sealed record TopUpTerms(Money Threshold, Money Amount, Money? MonthlyMax);

/// <summary>A top-up whose outcome is not known.</summary>
public sealed record OpenTopUp(PaymentId PaymentId, bool Automatic, Instant RequestedAt, Instant CheckAt);

/// <summary>What the rule asked for, and was not declined.</summary>
public sealed record AutomaticTopUp(PaymentId PaymentId, Money Amount, Instant At);

/// <param name="NextAt">From when it may ask for a top-up; null where it is switched off.</param>
public sealed record TopUpRule(TopUpTerms Terms, Instant? NextAt);

/// <summary>How a tenant's wallet is filled by charges.</summary>
/// <param name="Declines">Of automatic top-ups in a row.</param>
/// <param name="Automatic">Of the last month and a little more: what a monthly maximum may have to count.</param>
public sealed record TopUps(TopUpRule? Rule, OpenTopUp? Open, int Declines, IReadOnlyList<AutomaticTopUp> Automatic)
    : IEvolve<TopUps, TopUpEvent>
{
    private static readonly Duration Remembered = Duration.FromDays(32);

    public static TopUps Initial => new(Rule: null, Open: null, Declines: 0, Automatic: []);

    public static StreamId Stream(TenantId tenant) => new(tenant.Value, "top_ups", tenant.Value);

    public static TopUps Evolve(TopUps topUps, TopUpEvent @event) => @event switch
    {
        TopUpRequested it => topUps with
        {
            Rule = topUps.Rule is { } rule && it.NextAt is { } next ? rule with { NextAt = next } : topUps.Rule,
            Open = new(it.PaymentId, it.Automatic, it.At, it.CheckAt),
            Automatic = it.Automatic
                ? [.. topUps.Automatic.Where(before => before.At > it.At - Remembered), new(it.PaymentId, it.Amount, it.At)]
                : topUps.Automatic,
        },
        TopUpUnresolved it => topUps with { Open = topUps.Open! with { CheckAt = it.CheckAt } },
        TopUpSucceeded it => topUps with { Open = topUps.OpenWithout(it.PaymentId), Declines = 0 },
        TopUpDeclined it => topUps with
        {
            Rule = topUps.Rule is { NextAt: not null } rule && it.NextAt is { } next ? rule with { NextAt = next } : topUps.Rule,
            Open = topUps.OpenWithout(it.PaymentId),
            Declines = topUps.Open is { Automatic: true } ? topUps.Declines + 1 : topUps.Declines,
            Automatic = [.. topUps.Automatic.Where(made => made.PaymentId != it.PaymentId)],
        },
        TopUpRuleSet it => topUps with { Rule = new(it.Terms, it.NextAt), Declines = 0 },
        TopUpRuleSwitchedOff => topUps with { Rule = topUps.Rule is { } rule ? rule with { NextAt = null } : null },
        TopUpRuleRemoved => topUps with { Rule = null },
        _ => throw new UnreachableException($"TopUps does not know {@event.GetType().Name}."),
    };

    /// <summary>From when a rule of these terms may ask for its next top-up: now, or where that would be too much, next month.</summary>
    public Instant Earliest(TopUpTerms terms, Instant at, DateTimeZone zone)
    {
        if (terms.MonthlyMax is not { } most)
            return at;

        var month = at.InZone(zone).Date.With(DateAdjusters.StartOfMonth);
        var start = zone.AtStartOfDay(month).ToInstant();
        var made = Automatic.Where(it => it.At >= start).Aggregate(Money.Zero(most.Currency), (sum, it) => sum + it.Amount);
        return made + terms.Amount <= most ? at : zone.AtStartOfDay(month.PlusMonths(1)).ToInstant();
    }

    // The outcome of an earlier charge may come while a later one is open.
    private OpenTopUp? OpenWithout(PaymentId concluded) => Open?.PaymentId == concluded ? null : Open;
}
