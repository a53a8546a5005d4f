using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.ServiceDefaults.Tests;

public sealed record Order(
    string Name, decimal Quantity, int Size, Currency Currency, JobSpec Job, IReadOnlyList<string>? Labels = null,
    IReadOnlyList<Position>? Positions = null);

public sealed record Position(IReadOnlyList<string> Notes, Handling? Handling = null);

public enum Handling
{
    Usual,
    ThisSideUp,
}

[JsonSerializable(typeof(Order))]
[JsonSerializable(typeof(JobSpec))]
public sealed partial class OrderJson : JsonSerializerContext;

/// <summary>What the reader of an error body sees, for each way in which a request can be wrong at the edge.</summary>
public sealed class ProblemSpecs : IAsyncLifetime
{
    private const string Job = """{"kind":"infer","trained_by":"019a0000-0000-7000-8000-000000000001","dataset":"d","samples":1,"batch_size":1}""";

    private WebApplication app = null!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseTestServer();
        builder.AddServiceDefaults("test", OrderJson.Default);
        builder.Services.AddSingleton<IApiKeyDirectory, OneKey>();
        builder.Services.AddEventStore(
            new("none", "Host=127.0.0.1;Port=1;Username=nobody", "Host=127.0.0.1;Port=1;Username=nobody"),
            new EventTypes(PlatformJson.ForStorage(OrderJson.Default)), new MessageTypes(ContractsJson.Options));
        // The background readers have no database here; the edge is what is looked at.
        builder.Services.RemoveAll<Microsoft.Extensions.Hosting.IHostedService>();
        app = builder.Build();
        app.UseServiceDefaults();
        app.MapPost("/orders", (Order order) => TypedResults.Ok(order));
        app.MapGet("/orders/{tenantId}", (TenantId tenantId) => TypedResults.Ok(tenantId));
        app.MapPost("/operators", () => TypedResults.NoContent()).ForOperators();
        app.MapPost("/once", () => TypedResults.NoContent()).Idempotent();
        app.MapPost("/orders/once", (Order order) => TypedResults.Ok(order)).Idempotent();
        app.MapGet("/whoami", (Caller caller) => TypedResults.Ok(caller.TenantId));
        app.MapGet("/fault", IResult () => throw new InvalidOperationException("secret detail"));
        await app.StartAsync(TestContext.Current.CancellationToken);
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    [Theory]
    [InlineData("""{"name":"a","quantity":"1.5","size":1,"currency":"USD","job":JOB}""", null, null)]
    [InlineData("""{"quantity":"1.5","size":1,"job":JOB}""", "name", "The field is required.")]
    [InlineData("""{"quantity":"1.5","size":1,"job":JOB}""", "currency", "The field is required.")]
    [InlineData("""{"name":"a","quantity":1.5,"size":1,"currency":"USD","job":JOB}""", "quantity", "A decimal is written as a string of digits, for example \"12.50\".")]
    [InlineData("""{"name":"a","quantity":"1e3","size":1,"currency":"USD","job":JOB}""", "quantity", "A decimal is written as a string of digits, for example \"12.50\".")]
    [InlineData("""{"name":"a","quantity":"1","size":"big","currency":"USD","job":JOB}""", "size", "The value has the wrong type.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"XXX","job":JOB}""", "currency", "Not an ISO 4217 currency code of three capital letters.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","colour":"red","job":JOB}""", "colour", "There is no such field.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":{"kind":"dance"}}""", "job", "The kind of the object is unknown. Its kind is one of train, infer.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":{"samples":1}}""", "job", "The kind of the object is missing. Its kind is one of train, infer.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":{"kind":"train","model":{"type":"forest"}}}""", "job.model", "The kind of the object is unknown. Its type is one of multilayer_perceptron.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":JOB,"positions":[{"notes":[],"handling":"fragile"}]}""", "positions[0].handling", "One of usual, this_side_up.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":JOB,"positions":[{"notes":[],"handling":1}]}""", "positions[0].handling", "One of usual, this_side_up.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":JOB,"labels":["x","y"],"positions":[{"notes":[]}]}""", null, null)]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":JOB,"labels":["x",null]}""", "labels", "A list has no element null.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":JOB,"positions":[null]}""", "positions", "A list has no element null.")]
    [InlineData("""{"name":"a","quantity":"1","size":1,"currency":"USD","job":JOB,"positions":[{"notes":[]},{"notes":[null]}]}""", "positions[1].notes", "A list has no element null.")]
    [InlineData("""{"name":null,"quantity":"1","size":1,"currency":"USD","job":JOB}""", "name", null)]
    [InlineData("""{"name":"a",""", "body", "The body is not valid JSON.")]
    [InlineData("", "body", null)]
    public async Task A_bad_body_is_a_400_that_names_the_field(string body, string? field, string? text)
    {
        using var response = await Send(HttpMethod.Post, "/orders", body.Replace("JOB", Job, StringComparison.Ordinal));

        if (field is null)
        {
            response.StatusCode.ShouldBe(HttpStatusCode.OK);
            return;
        }

        var problem = await Problem(response, HttpStatusCode.BadRequest, "request.invalid");
        var errors = problem.GetProperty("errors");
        errors.TryGetProperty(field, out var texts).ShouldBeTrue($"the errors are {errors}");
        if (text is not null)
            texts[0].GetString().ShouldBe(text);
    }

    [Fact]
    public async Task A_bad_id_in_the_path_names_the_parameter()
    {
        using var response = await Send(HttpMethod.Get, "/orders/nonsense");
        var problem = await Problem(response, HttpStatusCode.BadRequest, "request.invalid");
        problem.GetProperty("errors").TryGetProperty("tenant_id", out _).ShouldBeTrue();
    }

    [Fact]
    public async Task Without_a_key_nothing_but_health_answers()
    {
        using var anonymous = await Send(HttpMethod.Get, "/whoami", key: null);
        await Problem(anonymous, HttpStatusCode.Unauthorized, "auth.key_missing_or_unknown");

        using var unknown = await Send(HttpMethod.Get, "/whoami", key: ApiKeys.Generate());
        await Problem(unknown, HttpStatusCode.Unauthorized, "auth.key_missing_or_unknown");

        using var live = await Send(HttpMethod.Get, "/health/live", key: null);
        live.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_scope_that_is_too_small_is_a_403()
    {
        using var response = await Send(HttpMethod.Post, "/operators");
        await Problem(response, HttpStatusCode.Forbidden, "auth.scope_forbidden");
    }

    [Fact]
    public async Task Naming_a_foreign_tenant_finds_nothing()
    {
        using var response = await Send(HttpMethod.Get, "/whoami", tenant: TenantId.New());
        await Problem(response, HttpStatusCode.NotFound, "tenant.not_found");

        using var own = await Send(HttpMethod.Get, "/whoami", tenant: OneKey.Tenant);
        own.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("a b")]
    public async Task An_idempotent_write_asks_for_its_key(string? key)
    {
        using var response = await Send(HttpMethod.Post, "/once", idempotencyKey: key);
        var problem = await Problem(response, HttpStatusCode.BadRequest, "request.invalid");
        problem.GetProperty("errors").TryGetProperty("Idempotency-Key", out _).ShouldBeTrue();
    }

    [Theory]
    [InlineData("/orders/once", """{"name":"a\u0000"}""", "name")]
    [InlineData("/orders/once", """{"name":"a","labels":["x","\u0000"]}""", "labels[1]")]
    [InlineData("/orders/once", """{"job":{"\u0000":"a"}}""", "job")]
    [InlineData("/orders/once", """{"name":"\u0000""", "body")]
    [InlineData("/orders/once?note=%00", "{}", "note")]
    public async Task A_text_that_cannot_be_stored_never_comes_to_the_database(string path, string body, string field)
    {
        // There is no database here: it would be a 503.
        using var response = await Send(HttpMethod.Post, path, body, idempotencyKey: "k");
        var problem = await Problem(response, HttpStatusCode.BadRequest, "request.invalid");
        problem.GetProperty("errors").EnumerateObject().Select(error => error.Name).ShouldBe([field]);
    }

    [Fact]
    public async Task What_only_looks_like_that_character_passes()
    {
        using var response = await Send(HttpMethod.Post, "/orders/once", """{"name":"a\\u0000"}""", idempotencyKey: "k");
        await Problem(response, HttpStatusCode.ServiceUnavailable, "storage.unavailable");
    }

    [Fact]
    public async Task A_database_that_is_away_is_a_503_that_says_when_to_come_back()
    {
        using var response = await Send(HttpMethod.Post, "/once", idempotencyKey: "k");
        await Problem(response, HttpStatusCode.ServiceUnavailable, "storage.unavailable");
        response.Headers.RetryAfter.ShouldNotBeNull();
    }

    [Fact]
    public async Task A_fault_tells_nothing_of_our_insides()
    {
        using var response = await Send(HttpMethod.Get, "/fault");
        var problem = await Problem(response, HttpStatusCode.InternalServerError, "server.fault");
        problem.ToString().ShouldNotContain("secret detail");
    }

    [Fact]
    public async Task An_unknown_route_is_a_problem_too()
    {
        using var response = await Send(HttpMethod.Get, "/nowhere");
        await Problem(response, HttpStatusCode.NotFound, "route.not_found");
    }

    private async Task<HttpResponseMessage> Send(
        HttpMethod method, string path, string? body = null, string? key = OneKey.Key, TenantId? tenant = null,
        string? idempotencyKey = null)
    {
        using var client = app.GetTestClient();
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (key is not null)
            request.Headers.Authorization = new("Bearer", key);
        if (tenant is { } named)
            request.Headers.Add("Platform-Tenant", named.ToString());
        if (idempotencyKey is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", idempotencyKey);
        return await client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private static async Task<JsonElement> Problem(HttpResponseMessage response, HttpStatusCode status, string code)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        response.StatusCode.ShouldBe(status, text);
        response.Content.Headers.ContentType?.MediaType.ShouldBe("application/problem+json");
        var problem = JsonDocument.Parse(text).RootElement;
        problem.GetProperty("type").GetString().ShouldBe(Problems.TypePrefix + code);
        problem.GetProperty("status").GetInt32().ShouldBe((int)status);
        return problem;
    }

    private sealed class OneKey : IApiKeyDirectory
    {
        public const string Key = "pk_one";

        public static readonly TenantId Tenant = TenantId.New();

        public ValueTask<KnownApiKey?> Find(string keyHash, CancellationToken cancellation) => ValueTask.FromResult(
            keyHash == ApiKeys.Hash(Key) ? new KnownApiKey(ApiKeyId.New(), Tenant, ApiKeyScope.TenantViewer) : null);

        public ValueTask<bool> TenantExists(TenantId tenant, CancellationToken cancellation) => ValueTask.FromResult(false);
    }
}
