using Platform.Contracts.Messages;

namespace Platform.Billing.Entitlements;

/// <summary>What a version of a plan, or all subscriptions of a tenant together, let a tenant use. Sorted, so that equal grants are equal.</summary>
/// <param name="Features">Names; the Scheduler knows <c>pool.NAME</c> and <c>gpu.FLAVOR</c>, the rest is for whoever reads it.</param>
/// <param name="Limits">At most one per limit and mode.</param>
public sealed record Grants(IReadOnlyList<string> Features, IReadOnlyList<EntitledLimit> Limits)
{
    public static readonly Grants None = new([], []);

    public static Grants Of(IEnumerable<string> features, IEnumerable<EntitledLimit> limits) => new(
        [.. features.Distinct().Order(StringComparer.Ordinal)],
        [.. limits.OrderBy(limit => limit.Limit, StringComparer.Ordinal).ThenBy(limit => limit.Mode)]);

    /// <summary>
    /// Features of any of them; of each limit and mode the sum over those that state it. One that states nothing about a limit adds
    /// nothing to it and does not lift it.
    /// </summary>
    public static Grants Together(IReadOnlyCollection<Grants> parts) => Of(
        parts.SelectMany(part => part.Features),
        parts.SelectMany(part => part.Limits)
            .GroupBy(limit => (limit.Limit, limit.Mode))
            .Select(same => new EntitledLimit(same.Key.Limit, same.Sum(limit => limit.Max), same.Key.Mode)));

    public bool Equals(Grants? other) =>
        other is not null && Features.SequenceEqual(other.Features) && Limits.SequenceEqual(other.Limits);

    public override int GetHashCode() => HashCode.Combine(Features.Count, Limits.Count);
}
