using Platform.Billing.Payments;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

/// <summary>
/// Takes out of the wallet what of a top-up is about to be paid back, so that no invoice uses it meanwhile. What was owed back already is
/// credit no more.
/// </summary>
public static class RefundCredit
{
    public static Decision<WalletEvent> Decide(RefundRequested refund, Wallet wallet)
    {
        var amount = refund.Amount - refund.FromOwed;
        return amount.MinorUnits > 0 && wallet.Find(new(refund.PaymentId.Value)) is { } grant
            ? [new CreditRefunded(grant.GrantId, grant.Kind, amount, refund.RefundId, refund.Reason, refund.At)]
            : [];
    }
}
