using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Platform.Contracts;

namespace Platform.Walkthrough;

/// <summary>
/// The public API as any program would call it: JSON, an API key, an <c>Idempotency-Key</c> on writes. A server that is away or
/// overloaded is asked again with the same key, so that nothing happens twice; a refusal is an exception with the problem's text.
/// </summary>
public sealed class PlatformClient : IDisposable
{
    private readonly HttpClient http;
    private readonly TimeSpan patience;

    /// <param name="actingFor">The tenant that an operator's key acts for; null for a tenant's own key.</param>
    /// <param name="patience">How long a server may be away before a call fails.</param>
    public PlatformClient(Uri address, string apiKey, TenantId? actingFor = null, TimeSpan? patience = null)
    {
        this.patience = patience ?? TimeSpan.FromSeconds(60);
        http = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(30) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", apiKey);
        if (actingFor is { } tenant)
            http.DefaultRequestHeaders.Add("Platform-Tenant", tenant.ToString());
    }

    public Task<JsonNode> Get(string path) => Send(HttpMethod.Get, path, body: null, idempotencyKey: null);

    /// <summary>All items of a cursor-paged list.</summary>
    public async Task<IReadOnlyList<JsonNode>> List(string path)
    {
        var items = new List<JsonNode>();
        string? cursor = null;
        do
        {
            var separator = path.Contains('?', StringComparison.Ordinal) ? '&' : '?';
            var page = await Get($"{path}{separator}limit=200{(cursor is null ? "" : $"&cursor={cursor}")}");
            items.AddRange(page["items"]!.AsArray().Select(item => item!));
            cursor = (string?)page["next_cursor"];
        }
        while (cursor is not null);
        return items;
    }

    public Task<JsonNode> Post(string path, JsonNode body) => Send(HttpMethod.Post, path, body, $"walk-{Guid.CreateVersion7():n}");

    /// <summary>Waits until the key is known there: keys reach the processes that did not issue them by message.</summary>
    public async Task UntilKeyIsKnown(string path)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                await Get(path);
                return;
            }
            catch (RefusedException refused) when (refused.Status == HttpStatusCode.Unauthorized && Stopwatch.GetElapsedTime(started) < patience)
            {
                await Pause(TimeSpan.FromMilliseconds(200));
            }
        }
    }

    public static Task Pause(TimeSpan time) => Task.Delay(time, TimeProvider.System);

    public void Dispose() => http.Dispose();

    private async Task<JsonNode> Send(HttpMethod method, string path, JsonNode? body, string? idempotencyKey)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            string fault;
            try
            {
                using var request = new HttpRequestMessage(method, path);
                if (body is not null)
                    request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
                if (idempotencyKey is not null)
                    request.Headers.Add("Idempotency-Key", idempotencyKey);

                using var response = await http.SendAsync(request);
                var text = await response.Content.ReadAsStringAsync();
                if (response.IsSuccessStatusCode)
                    return JsonNode.Parse(text) ?? throw new InvalidOperationException($"{method} {path} answered with nothing.");

                fault = $"{method} {path} answered {(int)response.StatusCode}: {text}";
                if (!MayBeAskedAgain(response.StatusCode, text))
                    throw new RefusedException(response.StatusCode, fault);
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException or IOException)
            {
                fault = $"{method} {path} got no answer: {error.Message}";
            }

            if (Stopwatch.GetElapsedTime(started) > patience)
                throw new TimeoutException(fault);
            await Pause(TimeSpan.FromMilliseconds(250));
        }
    }

    private static bool MayBeAskedAgain(HttpStatusCode status, string problem) =>
        (int)status >= 500
        || status == HttpStatusCode.Conflict && problem.Contains("idempotency.in_progress", StringComparison.Ordinal);
}

/// <summary>The platform said no; the message holds its problem details.</summary>
public sealed class RefusedException(HttpStatusCode status, string message) : Exception(message)
{
    public HttpStatusCode Status { get; } = status;
}
