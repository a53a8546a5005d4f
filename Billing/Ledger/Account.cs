namespace Platform.Billing.Ledger;

/// <summary>
/// The chart of accounts, from the operator's side. Each tenant has one of each per currency; revenue is kept by the kind
/// of line that moved it too. Names are permanent: they are stored with every entry.
/// </summary>
public enum Account
{
    /// <summary>Asset: what the tenant owes for finalized invoices.</summary>
    Receivable,

    /// <summary>Asset: what was received, by gateway or bank transfer.</summary>
    Cash,

    /// <summary>Liability: credit of the tenant that a later invoice uses up.</summary>
    Wallet,

    /// <summary>Liability: received beyond what was owed, to be paid back.</summary>
    RefundsPayable,

    /// <summary>Liability: tax that was invoiced for the authorities.</summary>
    TaxPayable,

    /// <summary>Income: what was invoiced, without tax.</summary>
    Revenue,

    /// <summary>Income: credit that was paid for and expired unused.</summary>
    BreakageRevenue,

    /// <summary>Expense: credit that was given as a gift.</summary>
    PromotionExpense,

    /// <summary>Expense: payments that were paid back though nothing of their invoices was taken back.</summary>
    RefundExpense,

    /// <summary>Expense: invoices that were given up.</summary>
    BadDebt,
}
