using NodaTime;
using Platform.Contracts.Verification;

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
    public byte[] ContentHash() => UsageLeaf.ContentHash(Type, Subject, Time, Data);
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
