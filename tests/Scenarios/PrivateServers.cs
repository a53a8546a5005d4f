using System.Diagnostics;
using System.Runtime.CompilerServices;
using Platform.Scenarios;

[assembly: AssemblyFixture(typeof(PrivateServers))]
[assembly: CollectionBehavior(DisableTestParallelization = true)] // they stop the servers that all of them use

namespace Platform.Scenarios;

/// <summary>
/// PostgreSQL and RabbitMQ that the scenarios may stop: started by <c>ops/servers</c> in <c>.local/scenarios</c>, on ports of
/// their own. Nobody else uses them.
/// </summary>
public sealed class PrivateServers : IAsyncLifetime
{
    private Dictionary<string, string> settings = [];

    public static readonly string Root = FindRoot();

    public static string Local => Path.Combine(Root, ".local", "scenarios");

    /// <summary>A setting that <c>ops/servers env</c> prints, for example <c>PLATFORM_POSTGRES</c>.</summary>
    public string this[string name] => settings[name];

    /// <summary>The ports after the servers' five are the processes'.</summary>
    public int Port(int offset) => int.Parse(settings["PLATFORM_PORT_BASE"], System.Globalization.CultureInfo.InvariantCulture) + offset;

    public async ValueTask InitializeAsync()
    {
        // What an earlier, interrupted run left must not decide over this one.
        await Servers("stop");
        await Servers("start");
        settings = (await Servers("env")).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line["export ".Length..].Split('=', 2))
            .ToDictionary(pair => pair[0], pair => pair[1].Trim('\''));
    }

    public async ValueTask DisposeAsync() => await Servers("stop");

    /// <param name="server"><c>postgres</c> or <c>rabbitmq</c>.</param>
    public static Task Start(string server) => Servers("start", server);

    public static Task Stop(string server) => Servers("stop", server);

    /// <summary>As a crash would end it: no shutdown, no flush.</summary>
    public static Task Kill(string server) => Servers("kill", server);

    private static async Task<string> Servers(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(Root, "ops", "servers"), arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("PLATFORM_", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(name);
        start.Environment["PLATFORM_LOCAL"] = Local;
        start.Environment["PLATFORM_PORT_BASE"] = "auto";

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"ops/servers {string.Join(' ', arguments)} ended with {process.ExitCode}: {await errors}");
    }

    private static string FindRoot([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}
