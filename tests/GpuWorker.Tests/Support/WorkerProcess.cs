using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Platform.GpuWorker.Tests.Support;

/// <summary>The built worker as a process of its own, so that it can be killed.</summary>
internal sealed partial class WorkerProcess : IAsyncDisposable
{
    private const int Terminate = 15;
    private readonly Process process;
    private readonly StringBuilder output = new();

    private WorkerProcess(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => Append(line.Data);
        process.ErrorDataReceived += (_, line) => Append(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Output
    {
        get
        {
            lock (output)
                return output.ToString();
        }
    }

    public int ExitCode => process.ExitCode;

    public static WorkerProcess Start(params IEnumerable<(string Variable, string Value)> environment)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Platform.GpuWorker.dll")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["OMP_WAIT_POLICY"] = "passive";
        start.Environment["Worker__CpuThreads"] = "1";
        foreach (var (variable, value) in environment)
            start.Environment[variable] = value;
        return new(new() { StartInfo = start });
    }

    /// <summary>kill -9: nothing of the process runs any more, not even finally blocks.</summary>
    public async Task Kill()
    {
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>SIGTERM, then waits for the end.</summary>
    public async Task Stop()
    {
        SendSignal(process.Id, Terminate).ShouldBe(0);
        await Exited();
    }

    /// <summary>Waits until the worker has written such a text.</summary>
    public async Task Says(string text)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!Output.Contains(text, StringComparison.Ordinal))
        {
            TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(TimeSpan.FromSeconds(60));
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Asks the health endpoints, at the port that the worker chose.</summary>
    public async Task IsReady()
    {
        const string listening = "Now listening on: ";
        await Says(listening);
        var address = Output[(Output.IndexOf(listening, StringComparison.Ordinal) + listening.Length)..].Split('"')[0];
        using var http = new HttpClient { BaseAddress = new(address) };
        (await http.GetStringAsync("/health/live", TestContext.Current.CancellationToken)).ShouldBe("live");
        (await http.GetStringAsync("/health/ready", TestContext.Current.CancellationToken)).ShouldBe("ready");
    }

    public async Task Exited() =>
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(40));

    /// <summary>What the worker wrote becomes part of the test's output, which is shown where it fails.</summary>
    public async ValueTask DisposeAsync()
    {
        TestContext.Current.TestOutputHelper?.WriteLine(Output);
        if (!process.HasExited)
            process.Kill();
        await process.WaitForExitAsync(CancellationToken.None);
        process.Dispose();
    }

    private void Append(string? line)
    {
        lock (output)
            output.AppendLine(line);
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);
}
