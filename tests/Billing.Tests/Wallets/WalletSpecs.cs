using NodaTime;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Wallets;

using WalletSpec = Spec<Wallet, WalletEvent>;

public class WalletSpecs
{
    private static readonly GrantCredit.Command Grant = new(
        TheGrant, new(50_00, Currency.EUR), CreditKind.Prepaid, Priority: 50, FirstOfMarch, "Paid in advance", Currency.EUR, FirstOfJanuary);

    [Fact]
    public void Credit_is_granted() =>
        WalletSpec.Given().When(wallet => GrantCredit.Decide(Grant, wallet)).Then(Granted());

    [Fact]
    public void The_same_grant_again_changes_nothing_even_when_it_is_used_up() =>
        WalletSpec.Given(Granted(), Consumed(cents: 50_00)).When(wallet => GrantCredit.Decide(Grant, wallet)).ThenNothing();

    [Fact]
    public void A_wallet_is_in_its_tenants_currency() =>
        WalletSpec.Given().When(wallet => GrantCredit.Decide(Grant with { Currency = Currency.USD }, wallet))
            .ThenRefused("wallet.currency_differs");

    [Fact]
    public void An_adjustment_comes_from_an_invoice_and_is_not_voided()
    {
        WalletSpec.Given().When(wallet => GrantCredit.Decide(Grant with { Kind = CreditKind.Adjustment }, wallet))
            .ThenRefused("wallet.kind_reserved");
        WalletSpec.Given(Granted() with { Kind = CreditKind.Adjustment })
            .When(wallet => VoidCredit.Decide(new(TheGrant, "A mistake", Noon), wallet)).ThenRefused("wallet.adjustment_owed");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void What_has_expired_already_is_no_credit(int seconds) =>
        WalletSpec.Given().When(wallet => GrantCredit.Decide(Grant with { ExpiresAt = Grant.At + Duration.FromSeconds(seconds) }, wallet))
            .ThenRefused("wallet.expires_in_past");

    [Fact]
    public void An_invoice_uses_what_there_is_and_says_of_which_grant() =>
        WalletSpec.Given(Granted())
            .When(wallet => SettleInvoice.Decide(new(TheInvoice, new(80_00, Currency.EUR), FirstOfFebruary), wallet))
            .Then(Consumed(cents: 50_00));

    [Fact]
    public void An_invoice_of_nothing_uses_nothing() =>
        WalletSpec.Given(Granted())
            .When(wallet => SettleInvoice.Decide(new(TheInvoice, Money.Zero(Currency.EUR), FirstOfFebruary), wallet))
            .ThenNothing();

    [Fact]
    public void What_an_invoice_takes_back_beyond_what_it_charges_becomes_credit_that_bears_its_id() =>
        WalletSpec.Given(Granted())
            .When(wallet => SettleInvoice.Decide(new(TheInvoice, new(-7_50, Currency.EUR), FirstOfFebruary), wallet))
            .Then(new CreditGranted(
                new(TheInvoice.Value), new(7_50, Currency.EUR), CreditKind.Adjustment, Priority: 50, ExpiresAt: null,
                "Taken back beyond what was invoiced", FirstOfFebruary, TheInvoice));

    [Fact]
    public void What_is_left_expires_at_its_moment_once()
    {
        WalletSpec.Given(Granted(), Consumed(cents: 20_00))
            .When(wallet => ExpireCredit.Decide(FirstOfMarch, FirstOfMarch, wallet)).Then(Expired(cents: 30_00));
        WalletSpec.Given(Granted(), Consumed(cents: 20_00), Expired(cents: 30_00))
            .When(wallet => ExpireCredit.Decide(FirstOfMarch, FirstOfMarch, wallet)).ThenNothing();
        WalletSpec.Given(Granted())
            .When(wallet => ExpireCredit.Decide(FirstOfMarch - Duration.Epsilon, FirstOfMarch, wallet)).ThenNothing();
        WalletSpec.Given(Granted(), Consumed(cents: 50_00))
            .When(wallet => ExpireCredit.Decide(FirstOfMarch, FirstOfMarch, wallet)).ThenNothing();
    }

    [Fact]
    public void What_is_left_can_be_voided_once()
    {
        VoidCredit.Command command = new(TheGrant, "Granted by mistake", Noon);
        WalletSpec.Given(Granted(), Consumed(cents: 20_00)).When(wallet => VoidCredit.Decide(command, wallet)).Then(Voided(cents: 30_00));
        WalletSpec.Given(Granted(), Voided(cents: 50_00)).When(wallet => VoidCredit.Decide(command, wallet)).ThenNothing();
        WalletSpec.Given().When(wallet => VoidCredit.Decide(command, wallet)).ThenRefused("credit_grant.not_found");
        WalletSpec.Given(Granted() with { SourcePaymentId = ThePayment }).When(wallet => VoidCredit.Decide(command, wallet))
            .ThenRefused("wallet.credit_bought");
    }
}
