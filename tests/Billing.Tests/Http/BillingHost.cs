using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using MassTransit;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using NodaTime;
using NodaTime.Text;
using Npgsql;
using Platform.Billing.Recurring;
using Platform.Contracts;
using Platform.EventStore;
using Platform.Testing;

[assembly: AssemblyFixture(typeof(Platform.Billing.Tests.Http.BillingHost))]

namespace Platform.Billing.Tests.Http;

/// <summary>
/// Billing as it runs, in this process: real PostgreSQL with its roles, real RabbitMQ, a clock that stands still. Tests share it
/// and have tenants of their own; a test that moves what all share (period runs) takes a host of its own.
/// </summary>
public class BillingHost : IAsyncLifetime
{
    public const string OperatorKey = "pk_0000000000000000000000000000000000000000000000000000000000000001";

    public const string WebhookSecret = "whsec_of_the_sandbox_gateway";

    private TestDatabase database = null!;
    private TestBroker broker = null!;
    private WebApplicationFactory<Program> factory = null!;

    public static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public StandingClock Clock { get; } = new(Instant.FromUtc(2026, 3, 10, 12, 0));

    public IServiceProvider Services => factory.Services;

    /// <summary>What this host is set up with beyond what every host needs.</summary>
    protected virtual IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>();

    /// <summary>What is in the database before the process's own migrations run.</summary>
    protected virtual Task Prepare() => Task.CompletedTask;

    /// <summary>What the process is asked to do before it serves.</summary>
    protected virtual IReadOnlyList<string[]> Verbs => [["migrate"]];

    public IBus Bus => Services.GetRequiredService<IBus>();

    public async ValueTask InitializeAsync()
    {
        database = await TestDatabase.Create(BillingDatabase.ApplicationRole, BillingDatabase.SystemRole);
        broker = await TestBroker.Create();
        Dictionary<string, string> settings = new()
        {
            ["ConnectionStrings:Owner"] = database.Owner,
            ["ConnectionStrings:Application"] = database.As(BillingDatabase.ApplicationRole),
            ["ConnectionStrings:System"] = database.As(BillingDatabase.SystemRole),
            ["Bus:Uri"] = broker.Uri.ToString(),
            ["Bootstrap:OperatorKey"] = OperatorKey,
            ["Payments:SandboxWebhookSecret"] = WebhookSecret,
        };
        foreach (var (key, value) in Settings)
            settings[key] = value;

        await Prepare();

        // The process's own `migrate` verb lays out the tables and the queues.
        foreach (var verb in Verbs)
        {
            string[] arguments = [.. verb, .. settings.Select(setting => $"--{setting.Key}={setting.Value}")];
            await Task.Run(() => typeof(Program).Assembly.EntryPoint!.Invoke(obj: null, [arguments]));
        }

        factory = new WebApplicationFactory<Program>().WithWebHostBuilder(web =>
        {
            foreach (var (key, value) in settings)
                web.UseSetting(key, value);
            web.ConfigureLogging(logging => logging.ClearProviders());
            web.ConfigureTestServices(services => services.AddSingleton<TimeProvider>(Clock));
        });
        factory.CreateClient().Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await factory.DisposeAsync();
        await broker.DisposeAsync();
        await database.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>Connects as the owner, as commands of the process do.</summary>
    public string OwnerConnection => database.Owner;

    /// <summary>For requests that are no plain call, with a key. Following redirects would read a request's body to its end first.</summary>
    public HttpClient Http(string key)
    {
        var http = factory.CreateClient(new() { AllowAutoRedirect = false, HandleCookies = false });
        http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        return http;
    }

    public Caller Anonymous => new(factory.CreateClient(), key: null);

    public Caller Operator => new(factory.CreateClient(), OperatorKey);

    public Caller With(string key, string? id = null) => new(factory.CreateClient(), key) { Id = id ?? "" };

    /// <summary>For answers that are not read whole.</summary>
    public HttpClient NewClient(string key)
    {
        var client = factory.CreateClient();
        client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        return client;
    }

    /// <summary>A new tenant with one key per scope.</summary>
    /// <param name="sandboxAt">The time at which a sandbox begins; a live tenant if absent.</param>
    public async Task<TestTenant> NewTenant(
        string timeZone = "Etc/UTC", string currency = "EUR", int anchorDay = 1, string? sandboxAt = null)
    {
        var tenant = await Operator.Post(
            "/v1/tenants",
            new { name = "Acme", currency, time_zone = timeZone, billing_anchor_day = anchorDay, sandbox = sandboxAt is not null, clock = sandboxAt });
        tenant.Status.ShouldBe(201, tenant.Text);
        var id = new TenantId(tenant.Json.GetProperty("tenant_id").GetGuid());

        return new(id, await Key("tenant_admin"), await Key("tenant_viewer"), await Key("partner"));

        async Task<Caller> Key(string scope)
        {
            var issued = await Operator.For(id).Post("/v1/api-keys", new { name = scope, scope });
            issued.Status.ShouldBe(201, issued.Text);
            return With(issued.Json.GetProperty("key").GetString()!);
        }
    }

    /// <summary>Meters and a plan of this test's own: the fee is 31.00 a month, GPU milliseconds cost 0.0001 and calls 0.05.</summary>
    public async Task<TestCatalog> NewCatalog(string currency = "EUR", string proration = "days")
    {
        var name = $"t{Guid.CreateVersion7():n}";
        var (gpu, calls, storage) = ($"{name}.gpu", $"{name}.calls", $"{name}.storage");
        foreach (var meter in new object[]
        {
            new { key = gpu, display_name = "GPU time", event_type = "gpu.time", aggregation = "sum", value_property = "milliseconds", unit = "millisecond" },
            new { key = calls, display_name = "Inference calls", event_type = "inference.call", aggregation = "sum", value_property = "calls", unit = "call" },
            new { key = storage, display_name = "Requests", event_type = $"{name}.request", aggregation = "count", unit = "request" },
        })
        {
            var defined = await Operator.Post("/v1/meters", meter);
            defined.Status.ShouldBe(201, defined.Text);
        }

        var plan = await Operator.Post("/v1/plans", new
        {
            key = name,
            display_name = "Standard",
            recurring_fee = new { amount = currency == "JPY" ? "3100" : "31.00", currency },
            proration,
            charges = new object[]
            {
                new { model = "per_unit", meter = gpu, display_name = "GPU time", unit_price = "0.0001" },
                new { model = "per_unit", meter = calls, display_name = "Inference calls", unit_price = "0.05" },
            },
        });
        plan.Status.ShouldBe(201, plan.Text);
        return new(plan.Json.GetProperty("plan_id").GetGuid(), gpu, calls, storage, $"{name}.request");
    }

    /// <summary>Tenants that close together. The lane follows from the tenant's id, which nobody chooses.</summary>
    public async Task<IReadOnlyList<TestTenant>> NewTenantsOfOneLane(int count)
    {
        var store = Services.GetRequiredService<EventStore.EventStore>();
        for (var tenants = new List<TestTenant>(); ;)
        {
            tenants.Add(await NewTenant());
            if (tenants.GroupBy(tenant => store.LaneOf(tenant.Id.Value)).FirstOrDefault(lane => lane.Count() == count) is { } lane)
                return [.. lane];
        }
    }

    public static async Task<Guid> Subscribe(TestTenant tenant, TestCatalog catalog, string startedAt = "2026-03-01T00:00:00Z")
    {
        var started = await tenant.Admin.Post("/v1/subscriptions", new { plan_id = catalog.PlanId, started_at = startedAt });
        started.Status.ShouldBe(201, started.Text);
        return started.Json.GetProperty("subscription_id").GetGuid();
    }

    /// <summary>The recurring close, at a time to which it sets the clock.</summary>
    public async Task RunAt(string now)
    {
        Clock.Set(InstantPattern.ExtendedIso.Parse(now).Value);
        await Services.GetRequiredService<RunDueWork>().Run(Clock.Now, Cause.Unknown, Cancellation);
    }

    /// <summary>Reports calls of a time, at a time to which it sets the clock.</summary>
    public async Task Use(TestTenant tenant, string id, string time, int calls, string? now = null)
    {
        if (now is not null)
            Clock.Set(InstantPattern.ExtendedIso.Parse(now).Value);
        var used = await tenant.Partner.Post(
            "/v1/usage/events", new { id, source = "test", type = "inference.call", time, data = new { calls = $"{calls}" } });
        used.Status.ShouldBe(200, used.Text);
    }

    /// <summary>Credit in the tenant's wallet.</summary>
    /// <returns>The grant's id.</returns>
    public async Task<string> Grant(
        TestTenant tenant, string amount, string kind, int priority = 50, string? expiresAt = null, string currency = "EUR")
    {
        var granted = await Operator.For(tenant.Id).Post("/v1/wallet/grants", new
        {
            amount = new { amount, currency },
            kind,
            priority,
            reason = "Credit",
            expires_at = expiresAt,
        });
        granted.Status.ShouldBe(201, granted.Text);
        return granted.Json.GetProperty("grant_id").GetString()!;
    }

    /// <summary>Counts rows past all security: what is really there.</summary>
    public async Task<long> Count(string table, TenantId tenant)
    {
        await using var connection = new NpgsqlConnection(database.Owner);
        await connection.OpenAsync(Cancellation);
        await using var command = connection.Command($"select count(*) from billing.{table} where tenant_id = $1", Sql.P(tenant.Value));
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    /// <summary>Changes rows as the owner, whom no rule of the application binds.</summary>
    public async Task Execute(string sql)
    {
        await using var connection = new NpgsqlConnection(database.Owner);
        await connection.OpenAsync(Cancellation);
        await using var command = connection.Command(sql);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    /// <summary>Counts what the application's role sees while it names no tenant.</summary>
    public async Task<long> CountAsApplication(string table)
    {
        await using var connection = new NpgsqlConnection(database.As(BillingDatabase.ApplicationRole));
        await connection.OpenAsync(Cancellation);
        await using var command = connection.Command($"select count(*) from billing.{table}");
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    public async Task<string[]> Strings(string sql)
    {
        await using var connection = new NpgsqlConnection(database.Owner);
        await connection.OpenAsync(Cancellation);
        await using var command = connection.Command(sql);
        await using var reader = await command.ExecuteReaderAsync(Cancellation);
        var rows = new List<string>();
        while (await reader.ReadAsync(Cancellation))
            rows.Add(reader.GetString(0));
        return [.. rows];
    }

    /// <summary>Asks again until it is so, for what happens behind a message.</summary>
    public static async Task Eventually(Func<Task<bool>> isSo, string what)
    {
        for (var attempt = 0; attempt < 300; attempt++)
        {
            if (await isSo())
                return;
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
        }

        throw new TimeoutException($"Not within 30 seconds: {what}.");
    }
}

/// <summary>A host of one test class alone, which may run what concerns all tenants.</summary>
public sealed class OwnBillingHost : BillingHost;

public sealed record TestTenant(TenantId Id, Caller Admin, Caller Viewer, Caller Partner);

public sealed record TestCatalog(Guid PlanId, string Gpu, string Calls, string Requests, string RequestType);

/// <summary>Time that stands still until a test moves it; timers run all the same.</summary>
public sealed class StandingClock(Instant start) : TimeProvider
{
    private Instant now = start;

    public Instant Now => now;

    public void Set(Instant at) => now = at;

    public override DateTimeOffset GetUtcNow() => now.ToDateTimeOffset();
}

/// <summary>An answer, read whole.</summary>
public sealed record Answer(int Status, string Text, HttpResponseHeaders Headers)
{
    public JsonElement Json => JsonDocument.Parse(Text).RootElement;

    /// <summary>The code that the problem's type ends in.</summary>
    public string Code => Json.GetProperty("type").GetString()!["https://errors.platform.example/".Length..];

    /// <summary>The fields that the problem names.</summary>
    public IReadOnlyList<string> Fields => Json.TryGetProperty("errors", out var errors)
        ? [.. errors.EnumerateObject().Select(named => named.Name)]
        : [];
}

/// <summary>Somebody with a key, or without one.</summary>
public sealed class Caller(HttpClient http, string? key)
{
    private TenantId? actsFor;

    public string Key => key ?? "";

    /// <summary>The key's id, where the test asked for it.</summary>
    public string Id { get; init; } = "";

    public Caller For(TenantId tenant) => new(http, key) { actsFor = tenant };

    public Task<Answer> Get(string path) => Send(HttpMethod.Get, path, body: null, idempotencyKey: null);

    /// <param name="body">Text is sent as it is, anything else as its JSON.</param>
    /// <param name="idempotencyKey">A new one if absent; none if empty.</param>
    public Task<Answer> Post(string path, object? body = null, string? idempotencyKey = null) =>
        Send(HttpMethod.Post, path, body, idempotencyKey ?? Guid.CreateVersion7().ToString());

    /// <param name="body">Text is sent as it is, anything else as its JSON.</param>
    public Task<Answer> Put(string path, object body) => Send(HttpMethod.Put, path, body, Guid.CreateVersion7().ToString());

    public Task<Answer> Delete(string path) => Send(HttpMethod.Delete, path, body: null, Guid.CreateVersion7().ToString());

    private async Task<Answer> Send(HttpMethod method, string path, object? body, string? idempotencyKey)
    {
        using var request = new HttpRequestMessage(method, path);
        if (key is not null)
            request.Headers.Authorization = new("Bearer", key);
        if (actsFor is { } tenant)
            request.Headers.Add("Platform-Tenant", tenant.ToString());
        if (!string.IsNullOrEmpty(idempotencyKey))
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        if (body is not null)
            request.Content = new StringContent(body as string ?? JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");

        using var response = await http.SendAsync(request, BillingHost.Cancellation);
        return new((int)response.StatusCode, await response.Content.ReadAsStringAsync(BillingHost.Cancellation), response.Headers);
    }
}
