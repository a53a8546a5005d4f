using System.Globalization;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.Billing.Usage;

/// <summary>
/// The usage events that one signed batch stands for. They bear the time of the batch's end, so a batch that crosses the end of
/// a billing period counts whole into the period it ended in.
/// </summary>
public static class UsageOfBatch
{
    public const string GpuTime = "gpu.time";
    public const string InferenceCall = "inference.call";

    /// <summary>No one else may report under it: an id taken beforehand would keep a signed batch out of the ledger.</summary>
    public const string SourcePrefix = "worker/";

    public static IReadOnlyList<UsageEvent> Events(UsageReported batch)
    {
        var gpuTime = Event(GpuTime, new()
        {
            ["milliseconds"] = Exact(batch.Use.GpuMilliseconds),
            ["energy_joules"] = Exact(batch.Use.EnergyJoules),
            ["peak_memory_bytes"] = Whole(batch.Use.PeakMemoryBytes),
            ["bytes_read"] = Whole(batch.Use.BytesRead),
            ["samples"] = Whole(batch.Use.Samples),
            ["energy_source"] = batch.Use.EnergySource,
        });
        return batch.Use.InferenceCalls == 0
            ? [gpuTime]
            :
            [
                gpuTime,
                Event(InferenceCall, new()
                {
                    ["calls"] = Whole(batch.Use.InferenceCalls),
                    ["samples"] = Whole(batch.Use.Samples),
                }),
            ];

        UsageEvent Event(string type, Dictionary<string, string> data)
        {
            data["flavor"] = batch.Use.Flavor;
            data["job_id"] = batch.JobId.ToString();
            data["attempt_id"] = batch.AttemptId.ToString();
            return new(
                $"{SourcePrefix}{batch.WorkerId}", $"{batch.AttemptId}/{Whole(batch.Sequence)}/{type}", type, $"job/{batch.JobId}",
                batch.To.ToMicroseconds(), data);
        }
    }

    private static string Exact(decimal value) => Decimals.Format(Decimals.Canonical(value));

    private static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);
}
