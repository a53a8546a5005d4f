using System.Collections.Frozen;

namespace Platform.Scheduler.Jobs;

/// <summary>The datasets that every worker holds, by name.</summary>
/// <param name="TestSamples">Size of the test split, which inference runs over.</param>
public sealed record Dataset(string Name, int TrainSamples, int TestSamples)
{
    public static readonly FrozenDictionary<string, Dataset> Known = new Dataset[]
    {
        new("fashion-mnist", TrainSamples: 60_000, TestSamples: 10_000),
    }.ToFrozenDictionary(dataset => dataset.Name, StringComparer.Ordinal);
}
