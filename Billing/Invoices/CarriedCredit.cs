using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>
/// An invoice's total is never negative. Where corrections of earlier periods take back more than is owed, a line carries the
/// excess forward and the total is zero; the subscription's next invoice begins with that credit. Nothing is lost: over all
/// invoices the two kinds of lines cancel, but for what the newest one still carries. Pure.
/// </summary>
public static class CarriedCredit
{
    /// <param name="owed">For the lines, less discounts and with tax.</param>
    /// <param name="brought">What the invoice before carried forward; zero or positive.</param>
    public static IReadOnlyList<RatedLine> Settle(IReadOnlyList<RatedLine> lines, Money owed, Money brought, BillingPeriod period)
    {
        var zero = Money.Zero(brought.Currency);
        List<RatedLine> settled = [.. lines];
        if (brought > zero)
            settled.Add(Line(LineKind.CreditBroughtForward, "Credit from the invoice before", zero - brought));

        var total = owed - brought;
        if (total < zero)
            settled.Add(Line(LineKind.CreditCarriedForward, "Credit carried forward to the next invoice", zero - total));
        return settled;

        RatedLine Line(LineKind kind, string description, Money amount) =>
            new(kind, description, Meter: null, Quantity: 1, "credit", amount.Amount, amount, period);
    }
}
