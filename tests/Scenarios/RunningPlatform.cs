using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Platform.Walkthrough;

namespace Platform.Scenarios;

/// <summary>
/// Billing, Scheduler and one worker as processes, migrated as in production, on a database and a virtual host of one scenario.
/// </summary>
public sealed class RunningPlatform : IAsyncDisposable
{
    private readonly PrivateServers servers;
    private readonly string scenario;
    private readonly string name;
    private readonly string folder;
    private readonly string operatorKey = $"pk_{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32))}";
    private readonly List<ProcessHost> processes = [];

    private RunningPlatform(PrivateServers servers, string scenario)
    {
        this.servers = servers;
        this.scenario = scenario;
        name = $"scenario_{Guid.CreateVersion7():n}";
        folder = Path.Combine(PrivateServers.Local, "runs", name);
        Address = new(Http(5), Http(6), operatorKey);
    }

    public PlatformAddress Address { get; }

    /// <summary>The process of Billing that runs now.</summary>
    public ProcessHost Billing { get; private set; } = null!;

    /// <param name="recurringCron">When what is due is done, as Quartz writes it; as in production if absent.</param>
    public static async Task<RunningPlatform> Start(PrivateServers servers, string scenario, string? recurringCron = null)
    {
        var platform = new RunningPlatform(servers, scenario);
        try
        {
            await platform.MakeDatabaseAndVirtualHost();
            await platform.Migrate("Billing");
            await platform.Migrate("Scheduler");

            await platform.StartBilling("billing");
            var settings = platform.Settings("Scheduler");
            if (recurringCron is not null)
                settings["Recurring__CloseBillingPeriodsCron"] = recurringCron;
            var scheduler = platform.StartProcess("scheduler", "Scheduler", settings);
            await scheduler.UntilReady(platform.Address.Scheduler);
            return platform;
        }
        catch
        {
            await platform.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts Billing, also in the place of one that was killed.</summary>
    public async Task StartBilling(string name)
    {
        Billing = StartProcess(name, "Billing", Settings("Billing"));
        await Billing.UntilReady(Address.Billing);
    }

    /// <summary>
    /// A worker with an identity of its own, unless <paramref name="machine"/> ran one before. All share one artifact store, as
    /// machines of a cluster do.
    /// </summary>
    public async Task<ProcessHost> StartWorker(string machine)
    {
        var worker = StartProcess(machine, "GpuWorker", new()
        {
            ["ASPNETCORE_URLS"] = Http(7).ToString(),
            ["Bus__Uri"] = Bus,
            ["Artifacts__Root"] = Path.Combine(folder, "artifacts"),
            ["Worker__DataDirectory"] = Path.Combine(folder, machine),
            ["Worker__Name"] = machine,
            ["OMP_NUM_THREADS"] = "1",
            ["OMP_WAIT_POLICY"] = "passive",
        });
        await worker.UntilReady(Http(7));
        return worker;
    }

    /// <summary>Makes a view of Billing again from its events, while the processes run.</summary>
    public Task Rebuild(string projection) =>
        StartProcess($"rebuild-{projection}", "Billing", Settings("Billing"), "rebuild", projection).UntilEndedWell(TimeSpan.FromSeconds(60));

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Enumerable.Reverse(processes))
            await process.DisposeAsync();
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
    }

    private string Bus => new UriBuilder(servers["PLATFORM_BUS"]) { Path = name }.Uri.ToString();

    private Uri Http(int offset) => new($"http://127.0.0.1:{servers.Port(offset)}");

    private Dictionary<string, string> Settings(string process) => new()
    {
        ["ASPNETCORE_URLS"] = (process == "Billing" ? Address.Billing : Address.Scheduler).ToString(),
        ["Bus__Uri"] = Bus,
        ["Bootstrap__OperatorKey"] = process == "Billing" ? operatorKey : "",
        ["ConnectionStrings__Application"] = Connection($"{process}_APP"),
        ["ConnectionStrings__System"] = Connection($"{process}_SYSTEM"),
    };

    private string Connection(string role)
    {
        var connection = new NpgsqlConnectionStringBuilder(servers[$"PLATFORM_DATABASE_{role.ToUpperInvariant()}"]) { Database = name };
        return connection.ConnectionString;
    }

    private ProcessHost StartProcess(string process, string project, Dictionary<string, string> settings, params string[] arguments)
    {
        var host = ProcessHost.Start(process, project, scenario, settings, arguments);
        processes.Add(host);
        return host;
    }

    private async Task Migrate(string process)
    {
        var settings = Settings(process);
        settings["ConnectionStrings__Owner"] = Connection("PLATFORM_OWNER");
        await StartProcess($"{process}-migrate", process, settings, "migrate").UntilEndedWell(TimeSpan.FromSeconds(90));
    }

    private async Task MakeDatabaseAndVirtualHost()
    {
        await using var superuser = NpgsqlDataSource.Create(servers["PLATFORM_POSTGRES"]);
        foreach (var statement in new[]
        {
            $"create database {name} owner platform_owner",
            $"revoke all on database {name} from public",
            $"grant connect on database {name} to billing_app, billing_system, scheduler_app, scheduler_system",
        })
        {
            await using var command = superuser.CreateCommand(statement);
            await command.ExecuteNonQueryAsync();
        }

        var broker = new Uri(servers["PLATFORM_RABBITMQ"]);
        using var management = new HttpClient { BaseAddress = new Uri(servers["PLATFORM_RABBITMQ_MANAGEMENT"]) };
        management.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes(Uri.UnescapeDataString(broker.UserInfo))));
        using var created = await management.PutAsync($"/api/vhosts/{name}", content: null);
        created.EnsureSuccessStatusCode();
        using var everything = new StringContent("""{"configure":".*","write":".*","read":".*"}""", Encoding.UTF8, "application/json");
        using var granted = await management.PutAsync($"/api/permissions/{name}/platform", everything);
        granted.EnsureSuccessStatusCode();
    }
}
