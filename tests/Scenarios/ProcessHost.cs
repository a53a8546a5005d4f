using System.Diagnostics;
using System.Net;
using Platform.Walkthrough;

namespace Platform.Scenarios;

/// <summary>One of the platform's processes as it runs in production: its own program, environment and log file.</summary>
public sealed class ProcessHost : IAsyncDisposable
{
    private readonly Process process;
    private readonly StreamWriter log;
    private readonly string logFile;

    private ProcessHost(string name, Process process, StreamWriter log, string logFile)
    {
        Name = name;
        this.process = process;
        this.log = log;
        this.logFile = logFile;
    }

    public string Name { get; }

    /// <param name="project">Billing, Scheduler or GpuWorker; taken from the build output beside the scenarios' own.</param>
    public static ProcessHost Start(
        string name, string project, string scenario, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        // artifacts/bin/Scenarios/release/ -> artifacts/bin/Billing/release/
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var folder = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", project, configuration));
        var start = new ProcessStartInfo("dotnet", [Path.Combine(folder, $"Platform.{project}.dll"), .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var inherited in start.Environment.Keys.Where(key => key.StartsWith("PLATFORM_", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(inherited);
        foreach (var (key, value) in environment)
            start.Environment[key] = value;

        var logFile = Path.Combine(PrivateServers.Local, "logs", $"{scenario}-{name}.log");
        Directory.CreateDirectory(Path.GetDirectoryName(logFile)!);
        var log = new StreamWriter(logFile) { AutoFlush = true };
        var process = Process.Start(start)!;
        process.StandardInput.Close();
        process.OutputDataReceived += (_, line) => Write(line.Data);
        process.ErrorDataReceived += (_, line) => Write(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new(name, process, log, logFile);

        void Write(string? line)
        {
            lock (log)
                log.WriteLine(line);
        }
    }

    public async Task UntilEndedWell(TimeSpan within)
    {
        using var patience = new CancellationTokenSource(within);
        await process.WaitForExitAsync(patience.Token);
        process.ExitCode.ShouldBe(0, $"{Name} failed; its log is {logFile}");
    }

    public async Task UntilReady(Uri address)
    {
        using var http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(5) };
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            process.HasExited.ShouldBeFalse($"{Name} ended while starting; its log is {logFile}");
            try
            {
                using var answer = await http.GetAsync("/health/ready");
                if (answer.StatusCode == HttpStatusCode.OK)
                    return;
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
            {
                // Not listening yet.
            }

            Stopwatch.GetElapsedTime(started).ShouldBeLessThan(TimeSpan.FromSeconds(90), $"{Name} is not ready; its log is {logFile}");
            await PlatformClient.Pause(TimeSpan.FromMilliseconds(200));
        }
    }

    /// <summary>SIGKILL: the process gets no chance to say goodbye.</summary>
    public async Task Kill()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, as an operator or an orchestrator stops it; SIGKILL after half a minute.</summary>
    public async Task Stop()
    {
        if (process.HasExited)
            return;

        using (var terminate = Process.Start("kill", ["-TERM", $"{process.Id}"]))
            await terminate.WaitForExitAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            await Kill();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        process.Dispose();
        await log.DisposeAsync();
    }
}
