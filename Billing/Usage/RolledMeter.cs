using Platform.Billing.Catalog;

namespace Platform.Billing.Usage;

/// <summary>One version of a meter whose usage is rolled up by the hour.</summary>
internal sealed record RolledMeter(MeterVersionId Id, MeterDefinition Definition)
{
    /// <summary>Every version of every one of these meters that is rolled up.</summary>
    public static IReadOnlyList<RolledMeter> Of(IEnumerable<MeterView> meters) =>
    [
        .. meters
            .SelectMany(meter => meter.Versions.Select(it => new RolledMeter(new(meter.MeterId, it.Version), it.Definition)))
            .Where(meter => meter.Definition.RollsUp),
    ];
}
