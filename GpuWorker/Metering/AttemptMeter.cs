using System.Globalization;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Metering;

/// <summary>
/// Measures what one attempt uses. Device time is the wall time in which the torch thread works for the attempt, until
/// the device is idle again; waiting for a turn, reading files and writing checkpoints are not in it. Used by one thread
/// at a time.
/// </summary>
/// <param name="gpuMilli">The attempt's share of the device: half a device costs half its time.</param>
public sealed class AttemptMeter(string flavor, int gpuMilli, TorchDevice device, EnergyMeter energy, TimeProvider time)
{
    private readonly long memoryAtStart = ProcessMemory.ResidentBytes();
    private TimeSpan worked;
    private decimal joules;
    private long samples;
    private long inferenceCalls;
    private long bytesRead;
    private long peakMemory;

    /// <summary>Does a step and charges its time and energy, also when it fails.</summary>
    public bool Work(Func<bool> step)
    {
        var before = energy.Begin();
        var start = time.GetTimestamp();
        try
        {
            var more = step();
            device.Synchronize();
            return more;
        }
        finally
        {
            var elapsed = time.GetElapsedTime(start);
            worked += elapsed;
            joules += energy.JoulesSince(before, elapsed);
        }
    }

    public void Trained(long count) => samples += count;

    public void Inferred(long count)
    {
        samples += count;
        inferenceCalls++;
    }

    public void Read(long bytes) => bytesRead += bytes;

    /// <summary>
    /// Memory by which the process has grown since the attempt began, or the attempt's tensors where an earlier job's
    /// freed memory is used again and nothing grows.
    /// </summary>
    public void SeeMemory(long tensorBytes) =>
        peakMemory = Math.Max(peakMemory, Math.Max(tensorBytes, ProcessMemory.ResidentBytes() - memoryAtStart));

    /// <summary>What was used since the last call, null where nothing was.</summary>
    public MeteredUse? Take()
    {
        if (worked == TimeSpan.Zero && samples == 0 && inferenceCalls == 0 && bytesRead == 0)
            return null;

        var use = new MeteredUse(
            flavor,
            GpuMilliseconds: worked.Ticks * gpuMilli / (decimal)(TimeSpan.TicksPerMillisecond * 1000),
            samples,
            inferenceCalls,
            Math.Round(joules, 6),
            energy.Source,
            bytesRead,
            peakMemory);
        (worked, joules, samples, inferenceCalls, bytesRead) = (TimeSpan.Zero, 0, 0, 0, 0);
        return use;
    }
}

internal static class ProcessMemory
{
    /// <summary>Memory of this process that is in RAM now, from <c>/proc/self/statm</c>, in bytes.</summary>
    public static long ResidentBytes()
    {
        var pages = File.ReadAllText("/proc/self/statm").Split(' ')[1];
        return long.Parse(pages, CultureInfo.InvariantCulture) * Environment.SystemPageSize;
    }
}
