using System.Globalization;

namespace Platform.GpuWorker.Metering;

/// <summary>How the energy of a piece of work is known.</summary>
public abstract class EnergyMeter
{
    /// <summary>As in <c>MeteredUse.EnergySource</c>.</summary>
    public abstract string Source { get; }

    /// <summary>A reading to measure from.</summary>
    public abstract IReadOnlyList<long> Begin();

    /// <summary>Energy since then, where the work took <paramref name="elapsed"/>.</summary>
    public abstract decimal JoulesSince(IReadOnlyList<long> begin, TimeSpan elapsed);

    /// <summary>The processor's own counters where they can be read, else the stated model.</summary>
    public static EnergyMeter ForCpu(decimal modelWatts, string powercap = "/sys/class/powercap") =>
        RaplEnergy.Find(powercap) as EnergyMeter ?? new ModelEnergy(modelWatts);
}

/// <summary>Power that somebody stated times measured time. The source names the watts, so an invoice shows the assumption.</summary>
public sealed class ModelEnergy(decimal watts) : EnergyMeter
{
    public override string Source => $"model:watts={watts.ToString(CultureInfo.InvariantCulture)}";

    public override IReadOnlyList<long> Begin() => [];

    public override decimal JoulesSince(IReadOnlyList<long> begin, TimeSpan elapsed) =>
        watts * elapsed.Ticks / TimeSpan.TicksPerSecond;
}

/// <summary>
/// Intel's and AMD's running average power limit counters: microjoules of each processor package, read before and after
/// the work. They count the whole package, so other work on the machine at that time is in them.
/// </summary>
public sealed class RaplEnergy : EnergyMeter
{
    private readonly IReadOnlyList<(string Counter, long Range)> packages;

    private RaplEnergy(IReadOnlyList<(string Counter, long Range)> packages) => this.packages = packages;

    public override string Source => "rapl";

    /// <summary>Null where the machine has no counters, or only root may read them.</summary>
    public static RaplEnergy? Find(string powercap)
    {
        try
        {
            // Packages are intel-rapl:0, intel-rapl:1; intel-rapl:0:0 is a part of the first.
            var packages = Directory.GetDirectories(powercap, "intel-rapl:*")
                .Where(folder => Path.GetFileName(folder).Count(c => c == ':') == 1)
                .Select(folder => (Path.Combine(folder, "energy_uj"), ReadLong(Path.Combine(folder, "max_energy_range_uj"))))
                .ToList();
            foreach (var (counter, _) in packages)
                ReadLong(counter);
            return packages.Count == 0 ? null : new(packages);
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }

    public override IReadOnlyList<long> Begin() => [.. packages.Select(package => ReadLong(package.Counter))];

    public override decimal JoulesSince(IReadOnlyList<long> begin, TimeSpan elapsed)
    {
        var microjoules = 0m;
        foreach (var ((_, range), before, now) in packages.Zip(begin, Begin()))
            microjoules += now >= before ? now - before : range - before + now; // the counter wraps
        return microjoules / 1_000_000;
    }

    private static long ReadLong(string file) => long.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture);
}
