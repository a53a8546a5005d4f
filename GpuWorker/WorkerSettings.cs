using System.Globalization;

namespace Platform.GpuWorker;

/// <summary>What a worker is told by its environment; README.md lists the variables.</summary>
public sealed record WorkerSettings
{
    public required Uri BusUri { get; init; }
    public required string Name { get; init; }
    public string Pool { get; init; } = "on-demand";
    public required string DataDirectory { get; init; }
    public required string ArtifactsRoot { get; init; }
    public string DatasetsRoot { get; init; } = "/usr/share/datasets";
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(1);
    public TimeSpan MeteringInterval { get; init; } = TimeSpan.FromSeconds(1);
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Optimizer steps (train) or samples (infer) after which a checkpoint is written; 0 for by time alone.</summary>
    public long CheckpointSteps { get; init; }

    public TimeSpan LeaseTimeout { get; init; } = TimeSpan.FromSeconds(8);
    public int CpuThreads { get; init; } = 1;

    /// <summary>Power that is assumed for a working CPU where no counter can be read.</summary>
    public decimal CpuWatts { get; init; } = 15;

    /// <exception cref="InvalidOperationException">A value is missing or wrong; the message names it.</exception>
    public static WorkerSettings From(IConfiguration configuration)
    {
        return new()
        {
            BusUri = Read("Bus:Uri", text => new Uri(text)),
            Name = Read("Worker:Name", text => text, Environment.MachineName),
            Pool = Read("Worker:Pool", text => text, "on-demand"),
            DataDirectory = Read("Worker:DataDirectory", Path.GetFullPath),
            ArtifactsRoot = Read("Artifacts:Root", Path.GetFullPath),
            DatasetsRoot = Read("Datasets:Root", Path.GetFullPath, "/usr/share/datasets"),
            HeartbeatInterval = Read("Worker:HeartbeatInterval", Interval, TimeSpan.FromSeconds(1)),
            MeteringInterval = Read("Worker:MeteringInterval", Interval, TimeSpan.FromSeconds(1)),
            CheckpointInterval = Read("Worker:CheckpointInterval", Interval, TimeSpan.FromSeconds(2)),
            CheckpointSteps = Read("Worker:CheckpointSteps", text => long.Parse(text, CultureInfo.InvariantCulture), 0),
            LeaseTimeout = Read("Worker:LeaseTimeout", Interval, TimeSpan.FromSeconds(8)),
            CpuThreads = Read("Worker:CpuThreads", text => AtLeastOne(int.Parse(text, CultureInfo.InvariantCulture)), 1),
            CpuWatts = Read("Worker:CpuWatts", text => decimal.Parse(text, CultureInfo.InvariantCulture), 15),
        };

        T Read<T>(string key, Func<string, T> parse, T? otherwise = default)
        {
            var variable = key.Replace(":", "__", StringComparison.Ordinal);
            if (configuration[key] is not { Length: > 0 } text)
                return otherwise ?? throw new InvalidOperationException($"{variable} is not set.");

            try
            {
                return parse(text);
            }
            catch (Exception error) when (error is FormatException or OverflowException or ArgumentException)
            {
                throw new InvalidOperationException($"{variable} is wrong: {error.Message}", error);
            }
        }
    }

    private static TimeSpan Interval(string text) =>
        TimeSpan.Parse(text, CultureInfo.InvariantCulture) is { Ticks: > 0 } interval
            ? interval
            : throw new FormatException("An interval is written hh:mm:ss and above zero, for example 00:00:01.");

    private static int AtLeastOne(int value) => value >= 1 ? value : throw new FormatException("It must be at least 1.");
}
