using System.Text.Json.Serialization;
using Platform.Contracts.Messages;

namespace Platform.Billing.Entitlements;

/// <summary>How much of something a plan's version, or a tenant's subscriptions together, grant.</summary>
/// <param name="Limit"><c>usage</c> bounds what a meter measures in a billing period; the others bound jobs.</param>
/// <param name="Meter">With <c>usage</c> alone: the key of the meter.</param>
/// <param name="MeterVersion">The version of the meter that measures.</param>
/// <param name="PerUnit">Stated for each unit of the subscription's quantity.</param>
/// <param name="Reached">The tenant has used it up in the billing period that runs; of hard usage limits alone.</param>
public sealed record GrantedLimit(
    string Limit, decimal Max, LimitMode Mode,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Meter = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? MeterVersion = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool PerUnit = false,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Reached = false)
{
    public const string Usage = "usage";

    [JsonIgnore]
    public bool IsUsage => Limit == Usage;

    /// <summary>Nobody but this process can say when it is reached: jobs are counted where they are admitted.</summary>
    [JsonIgnore]
    public bool IsWatched => IsUsage && Mode == LimitMode.Hard;

    public EntitledLimit ToMessage() => new(Limit, Max, Mode, Meter, Reached);
}

/// <summary>What a version of a plan, or all subscriptions of a tenant together, let a tenant use. Sorted, so that equal grants are equal.</summary>
/// <param name="Features">Names; the Scheduler knows <c>pool.NAME</c> and <c>gpu.FLAVOR</c>, the rest is for whoever reads it.</param>
/// <param name="Limits">At most one per limit, meter and mode.</param>
public sealed record Grants(IReadOnlyList<string> Features, IReadOnlyList<GrantedLimit> Limits)
{
    public static readonly Grants None = new([], []);

    public static Grants Of(IEnumerable<string> features, IEnumerable<GrantedLimit> limits) => new(
        [.. features.Distinct().Order(StringComparer.Ordinal)],
        [
            .. limits.OrderBy(limit => limit.Limit, StringComparer.Ordinal).ThenBy(limit => limit.Meter, StringComparer.Ordinal)
                .ThenBy(limit => limit.Mode),
        ]);

    /// <summary>
    /// Features of any of them; of each limit and mode the sum over those that state it. One that states nothing about a limit adds
    /// nothing to it and does not lift it. A meter's version is that of the first that states a limit on it.
    /// </summary>
    public static Grants Together(IReadOnlyCollection<Grants> parts) => Of(
        parts.SelectMany(part => part.Features),
        parts.SelectMany(part => part.Limits)
            .GroupBy(limit => (limit.Limit, limit.Meter, limit.Mode))
            .Select(same => same.First() with { Max = same.Sum(limit => limit.Max) }));

    /// <summary>What a subscription of so many units has of it.</summary>
    public Grants Times(int quantity) => this with
    {
        Limits = [.. Limits.Select(limit => limit.PerUnit ? limit with { Max = limit.Max * quantity, PerUnit = false } : limit)],
    };

    public bool Equals(Grants? other) =>
        other is not null && Features.SequenceEqual(other.Features) && Limits.SequenceEqual(other.Limits);

    public override int GetHashCode() => HashCode.Combine(Features.Count, Limits.Count);
}
