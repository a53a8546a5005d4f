using NodaTime;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

/// <summary>
/// What an invoice means for the wallet, in the transaction that finalizes it: credit pays what is owed as far as it reaches; where the
/// lines take back more than they charge, the excess becomes a grant, which bears the invoice's id.
/// </summary>
public static class SettleInvoice
{
    /// <param name="Owed">What the lines sum to; negative where the operator owes the tenant.</param>
    /// <param name="At">When the invoice is finalized.</param>
    public sealed record Command(InvoiceId InvoiceId, Money Owed, Instant At);

    public static Decision<WalletEvent> Decide(Command command, Wallet wallet)
    {
        var zero = Money.Zero(command.Owed.Currency);
        if (command.Owed < zero)
        {
            return
            [
                new CreditGranted(
                    new(command.InvoiceId.Value), zero - command.Owed, CreditKind.Adjustment, GrantCredit.PriorityDefault, ExpiresAt: null,
                    "Taken back beyond what was invoiced", command.At, command.InvoiceId),
            ];
        }

        var parts = BurnDown.Of(wallet.Grants, command.Owed, command.At);
        return parts.Count == 0
            ? []
            : [new CreditConsumed(command.InvoiceId, parts.Aggregate(zero, (sum, part) => sum + part.Amount), parts, command.At)];
    }
}
