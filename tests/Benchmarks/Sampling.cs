using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Platform.Benchmarks;

/// <summary>How the benchmarks measure and read their options.</summary>
internal static class Sampling
{
    public static double Median(List<double> samples)
    {
        var sorted = samples.Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }

    public static double Percentile(List<double> samples, double share)
    {
        var sorted = samples.Order().ToList();
        return sorted[(int)Math.Min(sorted.Count * share, sorted.Count - 1)];
    }

    public static double Option(string[] options, string name, double otherwise) =>
        Array.IndexOf(options, name) is var at and >= 0
            ? double.Parse(options[at + 1], CultureInfo.InvariantCulture)
            : otherwise;

    public static string? Text(string[] options, string name) =>
        Array.IndexOf(options, name) is var at and >= 0 ? options[at + 1] : null;

    /// <summary>For how long all processors together were busy since the machine started, with whatever.</summary>
    public static double BusySeconds()
    {
        // user, nice, system, idle, iowait, irq, softirq, in hundredths of a second; the rest is in these already, or is other machines'.
        var ticks = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1)
            .Select(it => long.Parse(it, CultureInfo.InvariantCulture)).ToArray();
        return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) / 100.0;
    }

    /// <summary>Works off a pile made beforehand, by so many workers at once, each taking the next as soon as its last is done.</summary>
    /// <returns>Seconds until all was done, and the milliseconds of each call.</returns>
    public static async Task<(double Seconds, List<double> Milliseconds)> WorkOff<T>(
        IReadOnlyCollection<T> pile, int workers, Func<int, T, Task> work)
    {
        var queue = new ConcurrentQueue<T>(pile);
        var started = Stopwatch.GetTimestamp();
        var times = await Task.WhenAll(Enumerable.Range(0, workers).Select(worker => Task.Run(async () =>
        {
            var mine = new List<double>();
            while (queue.TryDequeue(out var next))
            {
                var called = Stopwatch.GetTimestamp();
                await work(worker, next);
                mine.Add(Stopwatch.GetElapsedTime(called).TotalMilliseconds);
            }

            return mine;
        })));
        return (Stopwatch.GetElapsedTime(started).TotalSeconds, [.. times.SelectMany(it => it)]);
    }
}
