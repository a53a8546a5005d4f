using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Platform.Billing;
using Platform.Testing;

namespace Platform.Benchmarks;

/// <summary>Billing as a process of its own on loopback: Kestrel, not a test server.</summary>
internal sealed class BillingProcess : IAsyncDisposable
{
    public const string OperatorKey = "pk_0000000000000000000000000000000000000000000000000000000000000001";

    private readonly Process process;

    private BillingProcess(Process process, Uri address) => (this.process, Address) = (process, address);

    public Uri Address { get; }

    public long MemoryMiB
    {
        get
        {
            process.Refresh();
            return process.WorkingSet64 / 1024 / 1024;
        }
    }

    public static async Task<BillingProcess> Start(TestDatabase database, TestBroker broker)
    {
        var address = new Uri($"http://127.0.0.1:{FreePort()}");
        Dictionary<string, string> settings = new()
        {
            ["ConnectionStrings__Owner"] = database.Owner,
            ["ConnectionStrings__Application"] = database.As(BillingDatabase.ApplicationRole),
            ["ConnectionStrings__System"] = database.As(BillingDatabase.SystemRole),
            ["Bus__Uri"] = broker.Uri.ToString(),
            ["Bootstrap__OperatorKey"] = OperatorKey,
            ["ASPNETCORE_URLS"] = address.ToString(),
            ["Logging__LogLevel__Default"] = "Warning",
        };
        using (var migrate = Run(settings, "migrate"))
        {
            await migrate.WaitForExitAsync();
            if (migrate.ExitCode != 0)
                throw new InvalidOperationException("Billing's migrate command failed.");
        }

        var billing = new BillingProcess(Run(settings), address);
        await billing.UntilReady();
        return billing;
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private async Task UntilReady()
    {
        using var http = new HttpClient { BaseAddress = Address };
        for (var started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(60);)
        {
            try
            {
                using var answer = await http.GetAsync("/health/ready");
                if (answer.StatusCode == HttpStatusCode.OK)
                    return;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }

        throw new TimeoutException("Billing is not ready after a minute.");
    }

    private static Process Run(Dictionary<string, string> settings, params string[] arguments)
    {
        // artifacts/bin/Benchmarks/release/ -> artifacts/bin/Billing/release/
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var folder = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "Billing", configuration));
        var start = new ProcessStartInfo("dotnet", [Path.Combine(folder, "Platform.Billing.dll"), .. arguments]) { WorkingDirectory = folder };
        foreach (var (key, value) in settings)
            start.Environment[key] = value;
        return Process.Start(start)!;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return int.Parse($"{((IPEndPoint)listener.LocalEndpoint).Port}", CultureInfo.InvariantCulture);
    }
}
