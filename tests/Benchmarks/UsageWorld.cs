using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using NodaTime;
using NodaTime.Extensions;
using Platform.Billing;
using Platform.Billing.Usage;

namespace Platform.Benchmarks;

/// <summary>Events of about 200 bytes as a gateway reports them, one in a hundred of them a repeat.</summary>
internal sealed class UsageWorld
{
    public const string EventType = "benchmark.call";
    private const int Tenants = 16;

    private int next;

    public Guid[] TenantIds { get; init; } = [.. Enumerable.Range(0, Tenants).Select(_ => Guid.CreateVersion7())];

    /// <summary>Batches of one tenant each, the tenants in turns.</summary>
    public List<UsageBatch> Batches(int events, int size)
    {
        var last = new UsageEvent?[TenantIds.Length];
        return [.. Enumerable.Range(0, Math.Max(events / size, 1)).Select(number =>
        {
            var tenant = number % TenantIds.Length;
            var batch = Enumerable.Range(0, size)
                .Select(_ => next % 100 == 99 && last[tenant] is { } before ? Repeat(before) : New())
                .ToList();
            last[tenant] = batch[^1];
            return new UsageBatch(TenantIds[tenant], batch);
        })];
    }

    public static string Json(UsageEvent it) => JsonSerializer.Serialize(new Dictionary<string, object?>
    {
        ["id"] = it.Id,
        ["source"] = it.Source,
        ["type"] = it.Type,
        ["subject"] = it.Subject,
        ["time"] = it.Time.ToString("uuuu'-'MM'-'dd'T'HH':'mm':'ss.ffffff'Z'", CultureInfo.InvariantCulture),
        ["data"] = it.Data,
    });

    private UsageEvent Repeat(UsageEvent before)
    {
        next++;
        return before;
    }

    private UsageEvent New()
    {
        next++;
        var now = TimeProvider.System.GetCurrentInstant();
        return new(
            "gateway/eu-1", Guid.CreateVersion7().ToString(), EventType, $"deployment-{next % 50}",
            (now - Duration.FromMilliseconds(next % 3_600_000)).ToMicroseconds(),
            new Dictionary<string, string>
            {
                ["tokens"] = (next % 4_000).ToString(CultureInfo.InvariantCulture),
                ["context_tokens"] = (next * 7L % 9_000).ToString(CultureInfo.InvariantCulture),
                ["model"] = "llama-70b",
                ["region"] = "eu-central-1",
            });
    }
}

internal sealed record UsageBatch(Guid Tenant, IReadOnlyList<UsageEvent> Events);

/// <summary>What the benchmark sets up in a running Billing process, by its API.</summary>
internal sealed class BillingClient(Uri address, string operatorKey) : IDisposable
{
    private readonly HttpClient http = new(new SocketsHttpHandler { MaxConnectionsPerServer = 256 }) { BaseAddress = address };

    public async Task DefineMeter() => await Post(
        "/v1/meters", operatorKey, tenant: null,
        new { key = "benchmark", display_name = "Tokens", event_type = UsageWorld.EventType, aggregation = "sum", value_property = "tokens", unit = "token" });

    public async Task<(Guid Id, string Key)> NewTenant()
    {
        var tenant = await Post(
            "/v1/tenants", operatorKey, tenant: null,
            new { name = "Benchmark", currency = "EUR", time_zone = "Etc/UTC", billing_anchor_day = 1 });
        var id = tenant.GetProperty("tenant_id").GetGuid();
        var key = await Post("/v1/api-keys", operatorKey, id, new { name = "gateway", scope = "partner" });
        return (id, key.GetProperty("key").GetString()!);
    }

    /// <returns>How many events were new.</returns>
    public async Task<int> Report(string key, byte[] body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/usage/events") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new("application/json");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var answer = await http.SendAsync(request);
        var text = await answer.Content.ReadAsByteArrayAsync();
        answer.EnsureSuccessStatusCode();
        var reader = new Utf8JsonReader(text);
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("accepted"))
            {
                reader.Read();
                return reader.GetInt32();
            }
        }

        throw new InvalidOperationException("The answer does not say how many events were accepted.");
    }

    public void Dispose() => http.Dispose();

    private async Task<JsonElement> Post(string path, string key, Guid? tenant, object body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        request.Headers.Add("Idempotency-Key", Guid.CreateVersion7().ToString());
        if (tenant is { } actedFor)
            request.Headers.Add("Platform-Tenant", actedFor.ToString());
        using var answer = await http.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }
}
