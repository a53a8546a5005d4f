using System.Security.Cryptography;
using System.Text;
using NodaTime;
using NodaTime.Text;
using Platform.Contracts;

namespace Platform.Billing.Usage;

/// <summary>
/// Something a tenant used, a CloudEvent in meaning. Its identity is (tenant, source, id) alone: the same identity with any
/// other content is a conflict and never a second charge.
/// </summary>
/// <param name="Data">Members as text; quantities are plain decimals.</param>
public sealed record UsageEvent(
    string Source, string Id, string Type, string? Subject, Instant Time, IReadOnlyDictionary<string, string> Data)
{
    /// <summary>
    /// SHA-256 over all content but the identity. The order of members and trailing zeros of quantities make no difference.
    /// </summary>
    public byte[] ContentHash()
    {
        // Lengths before texts: no two different contents can read the same.
        var text = new StringBuilder();
        Add(Type);
        Add(Subject is null ? "" : $"+{Subject}");
        Add(InstantPattern.ExtendedIso.Format(Time));
        foreach (var (name, value) in Data.OrderBy(member => member.Key, StringComparer.Ordinal))
        {
            Add(name);
            Add(IsCanonical(value) || !Decimals.TryParse(value, out var number) ? value : Decimals.Format(Decimals.Canonical(number)));
        }

        return SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()));

        void Add(string part) => text.Append(part.Length).Append(':').Append(part);
    }

    // Most quantities are whole numbers, and most other members begin with a letter: neither needs to be read as a decimal.
    private static bool IsCanonical(string value) =>
        value.Length > 0 && (char.IsAsciiLetter(value[0]) || (value[0] is >= '1' and <= '9' && value.All(char.IsAsciiDigit)));
}

/// <summary>What the ledger did with one event.</summary>
public enum UsageOutcome
{
    /// <summary>New, and now in the ledger.</summary>
    Accepted,

    /// <summary>The ledger has exactly this event already.</summary>
    Duplicate,

    /// <summary>The ledger has another event with this identity; it stays as it was.</summary>
    Conflict,
}
