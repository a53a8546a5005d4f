using System.Net.Http.Headers;
using System.Text;

namespace Platform.Testing;

/// <summary>
/// A virtual host of its own for one test class, on the broker that <c>PLATFORM_RABBITMQ</c> (amqp URI) and
/// <c>PLATFORM_RABBITMQ_MANAGEMENT</c> (http URI) name. There is no fallback: without the broker the tests fail.
/// </summary>
public sealed class TestBroker : IAsyncDisposable
{
    private readonly HttpClient management;

    private TestBroker(HttpClient management, string virtualHost, Uri uri)
    {
        this.management = management;
        VirtualHost = virtualHost;
        Uri = uri;
    }

    public string VirtualHost { get; }

    /// <summary>amqp URI with credentials and this virtual host.</summary>
    public Uri Uri { get; }

    public static async Task<TestBroker> Create()
    {
        var broker = new Uri(Required("PLATFORM_RABBITMQ"));
        var management = new HttpClient { BaseAddress = new Uri(Required("PLATFORM_RABBITMQ_MANAGEMENT")) };
        management.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Basic", Convert.ToBase64String(Encoding.ASCII.GetBytes(Uri.UnescapeDataString(broker.UserInfo))));
        var user = broker.UserInfo.Split(':')[0];
        var virtualHost = $"test_{Guid.CreateVersion7():n}";

        using var created = await management.PutAsync($"/api/vhosts/{virtualHost}", content: null);
        created.EnsureSuccessStatusCode();
        using var everything = new StringContent("""{"configure":".*","write":".*","read":".*"}""", Encoding.UTF8, "application/json");
        using var granted = await management.PutAsync($"/api/permissions/{virtualHost}/{user}", everything);
        granted.EnsureSuccessStatusCode();

        return new(management, virtualHost, new UriBuilder(broker) { Path = virtualHost }.Uri);
    }

    public async ValueTask DisposeAsync()
    {
        using var deleted = await management.DeleteAsync($"/api/vhosts/{VirtualHost}");
        management.Dispose();
    }

    private static string Required(string variable) =>
        Environment.GetEnvironmentVariable(variable)
            ?? throw new InvalidOperationException($"{variable} is not set; run ops/test, or eval \"$(ops/servers env)\".");
}
