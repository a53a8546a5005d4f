using NodaTime;
using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.Ledger;

/// <summary>One side of a posting.</summary>
/// <param name="Kind">The kind of line that revenue was moved by; null on other accounts.</param>
/// <param name="Amount">Above zero debits the account, below zero credits it.</param>
/// <param name="ProductId">What was sold; null on other accounts, and where that is not told apart.</param>
public sealed record Entry(Account Account, Money Amount, LineKind? Kind = null, ProductId? ProductId = null)
{
    /// <summary>A negative amount is a credit.</summary>
    public static Entry Debit(Account account, Money amount, LineKind? kind = null, ProductId? product = null) =>
        new(account, amount, kind, product);

    /// <summary>A negative amount is a debit.</summary>
    public static Entry Credit(Account account, Money amount, LineKind? kind = null, ProductId? product = null) =>
        new(account, Money.Zero(amount.Currency) - amount, kind, product);
}

/// <summary>What one event means for the accounts: debits equal credits in every currency.</summary>
public sealed class Posting
{
    private Posting(Instant at, IReadOnlyList<Entry> entries) => (At, Entries) = (at, entries);

    /// <summary>When the event happened in the books' own time.</summary>
    public Instant At { get; }

    /// <summary>At least two, none of them zero.</summary>
    public IReadOnlyList<Entry> Entries { get; }

    /// <summary>Leaves zero entries out; null where nothing is left, because nothing moved.</summary>
    /// <exception cref="InvalidOperationException">The entries do not sum to zero: a bug, which must not reach the books.</exception>
    public static Posting? Balanced(Instant at, params IEnumerable<Entry> entries)
    {
        Entry[] moved = [.. entries.Where(entry => entry.Amount.MinorUnits != 0)];
        foreach (var currency in moved.GroupBy(entry => entry.Amount.Currency))
        {
            var sum = currency.Aggregate(Money.Zero(currency.Key), (sum, entry) => sum + entry.Amount);
            if (sum.MinorUnits != 0)
                throw new InvalidOperationException($"A posting does not balance: debits exceed credits by {sum}.");
        }

        return moved.Length == 0 ? null : new(at, moved);
    }
}
