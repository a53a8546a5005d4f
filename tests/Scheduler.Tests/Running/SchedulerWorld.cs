using System.Net.Http.Headers;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;
using Platform.ServiceDefaults;
using Platform.Testing;

namespace Platform.Scheduler.Tests.Running;

/// <summary>
/// A database and a virtual host of its own, migrated by the process's own verb, with one Scheduler running; tests may start
/// more. Waiting times are short, so that losing a worker takes seconds.
/// </summary>
public class SchedulerWorld : IAsyncLifetime
{
    private readonly List<SchedulerInstance> instances = [];
    private TestDatabase database = null!;

    public TestBroker Broker { get; private set; } = null!;
    public TestBus Bus { get; private set; } = null!;
    public SchedulerInstance Scheduler => instances[0];

    /// <summary>Settings on top of the defaults below.</summary>
    protected virtual IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>();

    public async ValueTask InitializeAsync()
    {
        database = await TestDatabase.Create("scheduler_app", "scheduler_system");
        Broker = await TestBroker.Create();
        Migrate();
        Migrate();      // a second run finds nothing to do
        Bus = await TestBus.Start(Broker.Uri);
        await StartInstance();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in instances)
            await instance.DisposeAsync();
        await Bus.DisposeAsync();
        await Broker.DisposeAsync();
        await database.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    public async Task<SchedulerInstance> StartInstance()
    {
        var instance = new SchedulerInstance(AllSettings);
        instances.Add(instance);
        using var http = instance.CreateClient();
        await Eventually.True(async () =>
        {
            using var ready = await http.GetAsync("/health/ready");
            return ready.IsSuccessStatusCode;
        });
        return instance;
    }

    /// <summary>A tenant that Billing registered, with a key of the given scope; the Scheduler knows both.</summary>
    public async Task<Tenant> Tenant(ApiKeyScope scope = ApiKeyScope.TenantAdmin, TenantId? of = null, bool sandbox = false)
    {
        var tenant = of ?? TenantId.New();
        var key = ApiKeys.Generate();
        var keyId = ApiKeyId.New();
        if (of is null)
            await Bus.Publish(new TenantRegistered(tenant, "Acme", Currency.EUR, "Europe/Berlin", Clock.Now, sandbox));
        await Bus.Publish(new ApiKeyIssued(keyId, tenant, scope, ApiKeys.Hash(key), Clock.Now, sandbox));

        var http = Scheduler.CreateClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        await Eventually.True(async () =>
        {
            using var jobs = await http.GetAsync("/v1/jobs");
            return jobs.IsSuccessStatusCode;
        });
        return new(tenant, keyId, key, http);
    }

    private void Migrate() => typeof(Program).Assembly.EntryPoint!.Invoke(
        null, [(string[])["migrate", .. AllSettings.Select(setting => $"--{setting.Key}={setting.Value}")]]);

    private IReadOnlyDictionary<string, string> AllSettings => new Dictionary<string, string>(Settings.Concat(
        new Dictionary<string, string>
        {
            ["ConnectionStrings:Owner"] = database.Owner,
            ["ConnectionStrings:Application"] = database.As("scheduler_app"),
            ["ConnectionStrings:System"] = database.As("scheduler_system"),
            ["Bus:Uri"] = Broker.Uri.ToString(),
            ["Fleet:LeaseTimeout"] = "00:00:03",
            ["Fleet:MissingTimeout"] = "00:00:01.5",
            ["Placement:Interval"] = "00:00:00.3",
            ["Placement:StartTimeout"] = "00:00:04",
            ["Recurring:CloseBillingPeriodsCron"] = "0 0 0 1 1 ? 2090",
            ["Logging:LogLevel:Default"] = Environment.GetEnvironmentVariable("PLATFORM_TEST_LOG_LEVEL") ?? "Error",
        }.Where(setting => !Settings.ContainsKey(setting.Key))));
}

/// <summary>One process of the Scheduler, in this process.</summary>
public sealed class SchedulerInstance(IReadOnlyDictionary<string, string> settings) : WebApplicationFactory<Program>
{
    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        foreach (var (key, value) in settings)
            builder.UseSetting(key, value);
    }

    public async Task<bool> Knows(WorkerId worker)
    {
        var documents = Services.GetRequiredService<Documents>();
        return await documents.Find(
            TenantId.Operator.Value, WorkerViews.TableName, worker.Value, SchedulerJson.Stored<WorkerView>(),
            TestContext.Current.CancellationToken) is not null;
    }

    public async Task<IReadOnlyList<JobEvent>> History(TenantId tenant, JobId job)
    {
        var store = Services.GetRequiredService<EventStore.EventStore>();
        var events = await store.Read(Job.Stream(tenant, job), TestContext.Current.CancellationToken);
        return [.. events.Select(recorded => (JobEvent)recorded.Data)];
    }
}

/// <summary>A tenant as it calls the API.</summary>
public sealed record Tenant(TenantId TenantId, ApiKeyId KeyId, string Key, HttpClient Http)
{
    public const string TrainBody =
        """
        {"spec":{"kind":"train","model":{"type":"multilayer_perceptron","hidden_sizes":[128]},"dataset":"fashion-mnist",
        "epochs":2,"batch_size":64,"learning_rate":"0.001","seed":7},"gpu_milli":100,"pool":"reserved","flavor":null}
        """;

    public Task<HttpResponseMessage> Post(string path, string? body = null, string? key = null) =>
        Send(Http, HttpMethod.Post, path, body, key ?? Guid.CreateVersion7().ToString());

    public Task<HttpResponseMessage> Get(string path) => Http.GetAsync(path, TestContext.Current.CancellationToken);

    /// <summary>A job for one worker, or for a pool that has none.</summary>
    public async Task<JobView> Submit(ScriptedWorker? worker = null, int gpuMilli = 100)
    {
        var body = worker is null ? TrainBody : For(worker)
            .Replace("\"gpu_milli\":100", $"\"gpu_milli\":{gpuMilli}", StringComparison.Ordinal);
        using var response = await Post("/v1/jobs", body);
        return await Read<JobView>(response.EnsureSuccessStatusCode());
    }

    public static string For(ScriptedWorker worker) => TrainBody.Replace(
        "\"pool\":\"reserved\",\"flavor\":null", $"\"pool\":\"{worker.Pool}\",\"flavor\":\"{worker.Flavor}\"",
        StringComparison.Ordinal);

    public async Task<JobView> Job(JobId job)
    {
        using var response = await Get($"/v1/jobs/{job}");
        return await Read<JobView>(response.EnsureSuccessStatusCode());
    }

    /// <summary>Waits until the job is in the status.</summary>
    public async Task<JobView> Job(JobId job, JobStatus status)
    {
        var view = await Job(job);
        await Eventually.True(async () => (view = await Job(job)).Status == status, () => $"job is {view.Status}, not {status}");
        return view;
    }

    public static async Task<T> Read<T>(HttpResponseMessage response) =>
        (await response.Content.ReadFromJsonAsync<T>(SchedulerJson.Storage, TestContext.Current.CancellationToken))!;

    public static async Task<HttpResponseMessage> Send(HttpClient http, HttpMethod method, string path, string? body, string? key)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return await http.SendAsync(request, TestContext.Current.CancellationToken);
    }
}

internal static class Clock
{
    public static Instant Now => TimeProvider.System.GetCurrentInstant();

    public static Task Wait(double seconds) =>
        Task.Delay(TimeSpan.FromSeconds(seconds), TimeProvider.System, TestContext.Current.CancellationToken);
}

internal static class Eventually
{
    private static readonly Duration Patience = Duration.FromSeconds(20);

    public static async Task True(Func<Task<bool>> condition, Func<string>? because = null)
    {
        var until = Clock.Now + Patience;
        while (!await condition())
        {
            if (Clock.Now > until)
                throw new TimeoutException($"Not so within {Patience}: {because?.Invoke() ?? "the condition"}.");
            await Clock.Wait(0.05);
        }
    }
}
