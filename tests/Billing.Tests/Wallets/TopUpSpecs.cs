using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Wallets;

using TopUpSpec = Spec<TopUps, TopUpEvent>;

public class TopUpSpecs
{
    private static readonly DateTimeZone berlin = DateTimeZoneProviders.Tzdb["Europe/Berlin"];

    [Fact]
    public void One_top_up_is_under_way_at_a_time()
    {
        TopUpWallet.Command command = new(ThePayment, Euro(50_00), ThePaymentMethod, Currency.EUR, Noon);
        var asked = TopUpAsked(automatic: false) with { NextAt = null };

        TopUpSpec.Given().When(topUps => TopUpWallet.Decide(command, topUps)).Then(asked);
        TopUpSpec.Given(asked).When(topUps => TopUpWallet.Decide(command with { PaymentId = PaymentId.New() }, topUps))
            .ThenRefused("wallet.top_up_in_progress");
        TopUpSpec.Given(asked, new TopUpSucceeded(ThePayment, Euro(50_00), Noon)).When(topUps => TopUpWallet.Decide(command, topUps))
            .Then(asked);
        TopUpSpec.Given().When(topUps => TopUpWallet.Decide(command with { Currency = Currency.USD }, topUps))
            .ThenRefused("wallet.currency_differs");
        TopUpSpec.Given().When(topUps => TopUpWallet.Decide(command with { Method = null }, topUps)).ThenRefused("payment_method.missing");
    }

    [Fact]
    public void A_payment_that_succeeded_gives_its_credit_once()
    {
        var given = TopUpWallet.Credit(ThePayment, Euro(50_00), Noon, Wallet.Initial);

        var grant = given.ShouldHaveSingleItem().ShouldBeOfType<CreditGranted>();
        (grant.GrantId.Value, grant.Kind, grant.Amount, grant.SourcePaymentId)
            .ShouldBe((ThePayment.Value, CreditKind.Prepaid, Euro(50_00), ThePayment));
        TopUpWallet.Credit(ThePayment, Euro(50_00), Noon, Fold.After(Wallet.Initial, given.Events)).ShouldBeEmpty();
    }

    // threshold, amount, monthly maximum and currency of the wallet; the refusal and its field
    [Theory]
    [InlineData(20_00, 50_00, 100_00L, "EUR", null, null)]
    [InlineData(20_00, 20_00, 20_00L, "EUR", null, null)]
    [InlineData(20_00, 20_00, null, "EUR", null, null)]
    [InlineData(20_00, 19_99, null, "EUR", "top_up_rule.amount_too_low", "amount")]
    [InlineData(20_00, 50_00, 49_99L, "EUR", "top_up_rule.monthly_max_too_low", "monthly_max")]
    [InlineData(20_00, 50_00, 100_00L, "USD", "wallet.currency_differs", "threshold")]
    public void A_rule_makes_sense_or_is_refused_by_its_field(
        long threshold, long amount, long? monthlyMax, string currency, string? refusal, string? field)
    {
        var terms = TopUpTerms(threshold, amount, monthlyMax);

        var decision = SetTopUpRule.Decide(new(terms, Currency.Parse(currency), berlin, HasMethod: true, Noon), TopUps.Initial);

        (decision.Refusal?.Code, decision.Refusal?.Field).ShouldBe((refusal, field));
        if (refusal is null)
            decision.Events.ShouldBe([new TopUpRuleSet(terms, Noon, Noon)]);
    }

    [Fact]
    public void A_rule_that_is_set_again_is_on_again()
    {
        SetTopUpRule.Command command = new(TopUpTerms(), Currency.EUR, berlin, HasMethod: true, Noon);

        TopUpSpec.Given(TopUpRule()).When(topUps => SetTopUpRule.Decide(command, topUps)).ThenNothing();
        TopUpSpec.Given(TopUpRule(), new TopUpRuleSwitchedOff("card_expired", Noon)).When(topUps => SetTopUpRule.Decide(command, topUps))
            .Then(TopUpRule());
        TopUpSpec.Given().When(topUps => SetTopUpRule.Decide(command with { HasMethod = false }, topUps))
            .ThenRefused("payment_method.missing");
        TopUpSpec.Given(TopUpRule()).When(topUps => RemoveTopUpRule.Decide(Noon, topUps)).Then(new TopUpRuleRemoved(Noon));
        TopUpSpec.Given(TopUpRule(), new TopUpRuleRemoved(Noon)).When(topUps => RemoveTopUpRule.Decide(Noon, topUps)).ThenNothing();
    }

    // Usable credit in cents and the seconds since the rule may ask.
    [Theory]
    [InlineData(19_99, 0, true)]
    [InlineData(0, 3600, true)]
    [InlineData(20_00, 0, false)]
    [InlineData(100_00, 0, false)]
    [InlineData(19_99, -1, false)]
    public void A_wallet_below_its_threshold_is_topped_up(long usable, int seconds, bool asked)
    {
        var at = Noon + Duration.FromSeconds(seconds);

        var step = KeepToppedUp.Decide(Due(usable, at), After(TopUpRule()));

        step?.Event.ShouldBe(TopUpAsked(at: at));
        step?.Payment!.Amount.ShouldBe(Euro(50_00));
        (step is not null).ShouldBe(asked);
    }

    [Fact]
    public void While_a_top_up_is_under_way_or_without_a_rule_nothing_is_asked_for()
    {
        KeepToppedUp.Decide(Due(usable: 0, Noon), TopUps.Initial).ShouldBeNull();
        KeepToppedUp.Decide(Due(usable: 0, Noon), After(TopUpRule(), TopUpAsked(automatic: false))).ShouldBeNull();
        KeepToppedUp.Decide(Due(usable: 0, Noon), After(TopUpRule(), new TopUpRuleRemoved(Noon))).ShouldBeNull();
    }

    [Fact]
    public void Without_a_payment_method_the_rule_is_switched_off()
    {
        var step = KeepToppedUp.Decide(Due(usable: 0, Noon) with { Method = null }, After(TopUpRule()));

        step.ShouldBe(new(new TopUpRuleSwitchedOff("payment_method.missing", Noon), Payment: null));
    }

    [Fact]
    public void A_decline_is_tried_again_after_one_and_two_days_and_then_no_more()
    {
        var topUps = After(TopUpRule(TopUpTerms(monthlyMax: null)));
        List<string> days = [];
        for (var day = 0; day < 30; day++)
        {
            var at = Noon + Duration.FromDays(day);
            if (KeepToppedUp.Decide(Due(usable: 0, at), topUps) is not { } step)
                continue;

            topUps = TopUps.Evolve(topUps, step.Event);
            var declined = TopUpWallet.Decline(ThePayment, "insufficient_funds", at, topUps).Events;
            topUps = Fold.After(topUps, declined);
            days.Add($"{day}{(declined[^1] is TopUpRuleSwitchedOff ? " off" : "")}");
        }

        days.ShouldBe(["0", "1", "3 off"]);
    }

    [Fact]
    public void Declines_count_in_a_row_and_only_automatic_ones()
    {
        TopUpEvent[] twice =
        [
            TopUpRule(), TopUpAsked(), new TopUpDeclined(ThePayment, "c", Noon, Noon),
            TopUpAsked(), new TopUpDeclined(ThePayment, "c", Noon, Noon),
        ];

        TopUpSpec.Given([.. twice, TopUpAsked(automatic: false)]).When(topUps => TopUpWallet.Decline(ThePayment, "c", Noon, topUps))
            .Then(new TopUpDeclined(ThePayment, "c", NextAt: null, Noon));
        TopUpSpec.Given([.. twice, TopUpAsked(), new TopUpSucceeded(ThePayment, Euro(50_00), Noon), TopUpAsked()])
            .When(topUps => TopUpWallet.Decline(ThePayment, "c", Noon, topUps))
            .Then(new TopUpDeclined(ThePayment, "c", Noon + Duration.FromDays(1), Noon));
        TopUpSpec.Given(twice).When(topUps => TopUpWallet.Decline(ThePayment, "c", Noon, topUps)).ThenNothing();
    }

    // Top-ups of 50.00 at these instants under a monthly maximum; when the rule may ask next.
    [Theory]
    [InlineData(100_00L, "2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z")]
    [InlineData(100_00L, "2026-03-10T12:00:00Z 2026-03-11T12:00:00Z", "2026-03-31T22:00:00Z")]
    [InlineData(99_99L, "2026-03-10T12:00:00Z", "2026-03-31T22:00:00Z")]
    [InlineData(50_00L, "2026-12-10T12:00:00Z", "2026-12-31T23:00:00Z")]
    // The month is Berlin's: an hour before its midnight in summer.
    [InlineData(50_00L, "2026-03-31T21:59:59Z", "2026-03-31T22:00:00Z")]
    [InlineData(100_00L, "2026-03-31T21:59:59Z 2026-03-31T22:00:00Z", "2026-03-31T22:00:00Z")]
    [InlineData(null, "2026-03-10T12:00:00Z 2026-03-10T13:00:00Z 2026-03-10T14:00:00Z", "2026-03-10T14:00:00Z")]
    public void A_month_holds_no_more_than_its_maximum(long? monthlyMax, string made, string next)
    {
        var topUps = After(TopUpRule(TopUpTerms(monthlyMax: monthlyMax)));
        foreach (var at in made.Split(' ').Select(text => InstantPattern.General.Parse(text).Value))
        {
            var step = KeepToppedUp.Decide(Due(usable: 0, at) with { PaymentId = PaymentId.New() }, topUps).ShouldNotBeNull();
            topUps = Fold.After(topUps, [step.Event, new TopUpSucceeded(step.Payment!.PaymentId, Euro(50_00), at)]);
        }

        topUps.Rule!.NextAt.ShouldBe(InstantPattern.General.Parse(next).Value);
    }

    [Fact]
    public void Whatever_happens_no_month_has_more_than_its_maximum_and_no_two_are_under_way()
    {
        var step = from hours in Gen.Choose(1, 200) from outcome in Gen.Choose(0, 5) select (hours, outcome);

        Check.One(Config.QuickThrowOnFailure, Prop.ForAll(step.ListOf().ToArbitrary(), steps =>
        {
            var (topUps, at, made) = (After(TopUpRule()), Noon, new List<Instant>());
            foreach (var (hours, outcome) in steps)
            {
                at += Duration.FromHours(hours);
                if (topUps.Open is null && KeepToppedUp.Decide(Due(usable: 0, at) with { PaymentId = PaymentId.New() }, topUps) is { } due)
                    topUps = TopUps.Evolve(topUps, due.Event);
                if (topUps.Open is not { } open)
                {
                    topUps = Fold.After(topUps, SetTopUpRule.Decide(new(TopUpTerms(), Currency.EUR, berlin, HasMethod: true, at), topUps).Events);
                    continue;
                }

                KeepToppedUp.Decide(Due(usable: 0, at), topUps).ShouldBeNull();
                if (outcome is 0)
                {
                    topUps = Fold.After(topUps, TopUpWallet.Decline(open.PaymentId, "c", at, topUps).Events);
                }
                else if (outcome < 4)
                {
                    topUps = TopUps.Evolve(topUps, new TopUpSucceeded(open.PaymentId, Euro(50_00), at));
                    made.Add(open.RequestedAt);
                }
            }

            made.GroupBy(it => it.InZone(berlin).Date.With(DateAdjusters.StartOfMonth)).ShouldAllBe(month => month.Count() <= 2);
        }));
    }

    private static TopUps After(params IEnumerable<TopUpEvent> events) => Fold.After(TopUps.Initial, events);

    private static KeepToppedUp.Command Due(long usable, Instant at) =>
        new(at, TheTenant, Euro(usable), ThePaymentMethod, ThePayment, berlin, at);

    private static Money Euro(long cents) => new(cents, Currency.EUR);
}
