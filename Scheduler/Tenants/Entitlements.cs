using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Scheduler.Jobs;

namespace Platform.Scheduler.Tenants;

/// <summary>What a tenant may use, as Billing said it last. What is not named has no bounds.</summary>
public sealed record Entitlements(IReadOnlyList<string> Features, IReadOnlyList<EntitledLimit> Limits)
{
    public static readonly Entitlements Unlimited = new([], []);

    /// <summary>Why the tenant may not have a device of this shape; null where it may.</summary>
    public Refusal? Refuse(JobShape shape)
    {
        var (pools, flavors) = (Named("pool."), Named("gpu."));
        if (pools.Count > 0 && !pools.Contains(shape.Pool))
            return Refusal.Because("entitlement.pool.forbidden", $"The tenant may use the pools {string.Join(", ", pools)}.", "pool");

        // A job that takes any device could be given one that the tenant may not use.
        return flavors.Count == 0 || (shape.Flavor is { } flavor && flavors.Contains(flavor))
            ? null
            : Refusal.Because(
                "entitlement.flavor.forbidden", $"The tenant may use {string.Join(", ", flavors)}; name one of them.", "flavor");
    }

    /// <summary>The limits that one more job would go beyond or that are used up, hard ones first.</summary>
    /// <param name="open">The tenant's jobs without this one.</param>
    public IReadOnlyList<EntitledLimit> Exceeded(OpenJobs open, int gpuMilli)
    {
        return [.. Limits.Where(limit => limit.Reached || With(limit.Limit) > limit.Max).OrderBy(limit => limit.Mode)];

        decimal With(string limit) => limit switch
        {
            "jobs.concurrent" => open.Count + 1,
            "jobs.queued" => open.Queued + 1,
            "gpu.milli" => open.GpuMilli + gpuMilli,
            // Billing alone knows what was used, and may know limits that bound something else than jobs.
            _ => 0,
        };
    }

    private List<string> Named(string prefix) => [.. Features
        .Where(feature => feature.StartsWith(prefix, StringComparison.Ordinal))
        .Select(feature => feature[prefix.Length..])];
}
