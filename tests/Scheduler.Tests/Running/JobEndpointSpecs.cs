using System.Net;
using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;
using Platform.ServiceDefaults;
using Platform.Testing;

namespace Platform.Scheduler.Tests.Running;

public sealed class JobEndpointSpecs(SchedulerWorld world) : IClassFixture<SchedulerWorld>
{
    private const string Train = Tenant.TrainBody;

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer pk_0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("Basic cGxhdGZvcm06cGxhdGZvcm0=")]
    public async Task Without_a_known_key_nothing_is_told(string? authorization)
    {
        using var http = world.Scheduler.CreateClient();
        if (authorization is not null)
            http.DefaultRequestHeaders.Add("Authorization", authorization);

        foreach (var path in (string[])["/v1/jobs", $"/v1/jobs/{JobId.New()}", "/v1/workers"])
        {
            using var response = await http.GetAsync(path, TestContext.Current.CancellationToken);
            await ShouldBeProblem(response, HttpStatusCode.Unauthorized, "auth.key_missing_or_unknown");
        }
    }

    [Fact]
    public async Task A_revoked_key_is_refused()
    {
        var tenant = await world.Tenant();

        await world.Bus.Publish(new ApiKeyRevoked(tenant.KeyId, tenant.TenantId, Clock.Now));

        await Eventually.True(async () =>
        {
            using var response = await tenant.Get("/v1/jobs");
            return response.StatusCode == HttpStatusCode.Unauthorized;
        });
    }

    [Fact]
    public async Task A_suspended_tenant_submits_no_job_until_it_is_reinstated()
    {
        var tenant = await world.Tenant();
        var suspendedAt = Clock.Now;

        await world.Bus.Publish(new TenantSuspended(tenant.TenantId, suspendedAt));
        await Eventually.True(async () =>
        {
            using var refused = await tenant.Post("/v1/jobs", Train);
            return refused.StatusCode == HttpStatusCode.Conflict;
        });
        using (var refused = await tenant.Post("/v1/jobs", Train))
            await ShouldBeProblem(refused, HttpStatusCode.Conflict, "tenant.suspended");
        using (var listed = await tenant.Get("/v1/jobs"))
            listed.StatusCode.ShouldBe(HttpStatusCode.OK);

        await world.Bus.Publish(new TenantReinstated(tenant.TenantId, suspendedAt + NodaTime.Duration.FromSeconds(1)));
        await Eventually.True(async () =>
        {
            using var taken = await tenant.Post("/v1/jobs", Train);
            return taken.StatusCode == HttpStatusCode.Created;
        });

        // An old word that comes late changes nothing.
        await world.Bus.Publish(new TenantSuspended(tenant.TenantId, suspendedAt));
        var other = await world.Tenant();
        await world.Bus.Publish(new TenantSuspended(other.TenantId, suspendedAt));
        await Eventually.True(async () =>
        {
            using var refused = await other.Post("/v1/jobs", Train);
            return refused.StatusCode == HttpStatusCode.Conflict;
        });
        using var still = await tenant.Post("/v1/jobs", Train);
        still.StatusCode.ShouldBe(HttpStatusCode.Created);
    }

    [Fact]
    public async Task A_sandbox_submits_no_job_and_reads_as_others_do()
    {
        var tenant = await world.Tenant(sandbox: true);

        using var refused = await tenant.Post("/v1/jobs", Train);
        using var listed = await tenant.Get("/v1/jobs");

        await ShouldBeProblem(refused, HttpStatusCode.Conflict, "tenant.sandbox");
        (await Tenant.Read<Page<JobView>>(listed)).Items.ShouldBeEmpty();
    }

    [Fact]
    public async Task A_sandbox_is_known_by_its_key_alone()
    {
        var (tenant, key) = (TenantId.New(), ApiKeys.Generate());
        await world.Bus.Publish(new ApiKeyIssued(ApiKeyId.New(), tenant, ApiKeyScope.TenantAdmin, ApiKeys.Hash(key), Clock.Now, Sandbox: true));
        using var http = world.Scheduler.CreateClient();
        http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        await Eventually.True(async () =>
        {
            using var jobs = await http.GetAsync("/v1/jobs", TestContext.Current.CancellationToken);
            return jobs.IsSuccessStatusCode;
        });

        using var refused = await Tenant.Send(http, HttpMethod.Post, "/v1/jobs", Train, Guid.CreateVersion7().ToString());

        await ShouldBeProblem(refused, HttpStatusCode.Conflict, "tenant.sandbox");
    }

    [Theory]
    [InlineData(ApiKeyScope.TenantViewer)]
    [InlineData(ApiKeyScope.Partner)]
    public async Task Who_may_not_write_may_not_submit_or_cancel(ApiKeyScope scope)
    {
        var viewer = await world.Tenant(scope);

        using var submitted = await viewer.Post("/v1/jobs", Train);
        using var cancelled = await viewer.Post($"/v1/jobs/{JobId.New()}/cancel");

        await ShouldBeProblem(submitted, HttpStatusCode.Forbidden, "auth.scope_forbidden");
        await ShouldBeProblem(cancelled, HttpStatusCode.Forbidden, "auth.scope_forbidden");
    }

    [Fact]
    public async Task A_job_is_submitted_read_and_cancelled()
    {
        var tenant = await world.Tenant();

        using var response = await tenant.Post("/v1/jobs", Train);
        response.StatusCode.ShouldBe(HttpStatusCode.Created);
        var job = await Tenant.Read<JobView>(response);

        (response.Headers.Location?.ToString()).ShouldBe($"/v1/jobs/{job.JobId}");
        job.Status.ShouldBe(JobStatus.Queued);
        job.Spec.ShouldBe(new TrainJob(new MultilayerPerceptron([128]), "fashion-mnist", 2, 64, 0.001m, 7));
        (await tenant.Job(job.JobId)).Status.ShouldBe(JobStatus.Queued);

        using var cancelled = await tenant.Post($"/v1/jobs/{job.JobId}/cancel");
        (await Tenant.Read<JobView>(cancelled)).Status.ShouldBe(JobStatus.Cancelled);
        (await world.Scheduler.History(tenant.TenantId, job.JobId)).Select(e => e.GetType())
            .ShouldBe([typeof(JobEvent.Submitted), typeof(JobEvent.Cancelled)]);
    }

    [Fact]
    public async Task Another_tenants_job_is_not_there()
    {
        var owner = await world.Tenant();
        var other = await world.Tenant();
        var job = await owner.Submit();

        using var read = await other.Get($"/v1/jobs/{job.JobId}");
        using var cancelled = await other.Post($"/v1/jobs/{job.JobId}/cancel");
        using var listed = await other.Get("/v1/jobs");

        await ShouldBeProblem(read, HttpStatusCode.NotFound, "job.not_found");
        await ShouldBeProblem(cancelled, HttpStatusCode.NotFound, "job.not_found");
        (await Tenant.Read<Page<JobView>>(listed)).Items.ShouldBeEmpty();
        (await owner.Job(job.JobId)).CancelRequested.ShouldBeFalse();
    }

    [Fact]
    public async Task An_operator_acts_for_the_tenant_it_names_and_nobody_else_does()
    {
        var tenant = await world.Tenant();
        var job = await tenant.Submit();
        var @operator = await world.Tenant(ApiKeyScope.Operator, TenantId.Operator);
        var stranger = await world.Tenant();

        foreach (var caller in (Tenant[])[@operator, stranger])
            caller.Http.DefaultRequestHeaders.Add("Platform-Tenant", tenant.TenantId.ToString());

        using var seen = await @operator.Get($"/v1/jobs/{job.JobId}");
        using var unseen = await stranger.Get($"/v1/jobs/{job.JobId}");
        seen.StatusCode.ShouldBe(HttpStatusCode.OK);
        unseen.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task The_same_request_again_is_the_same_job()
    {
        var tenant = await world.Tenant();

        using var first = await tenant.Post("/v1/jobs", Train, key: "order-1");
        using var second = await tenant.Post("/v1/jobs", Train, key: "order-1");

        second.StatusCode.ShouldBe(HttpStatusCode.Created);
        (await Text(second)).ShouldBe(await Text(first));
        using var listed = await tenant.Get("/v1/jobs");
        (await Tenant.Read<Page<JobView>>(listed)).Items.Count.ShouldBe(1);
    }

    [Fact]
    public async Task The_same_key_with_another_request_is_refused()
    {
        var tenant = await world.Tenant();
        using var first = await tenant.Post("/v1/jobs", Train, key: "order-1");

        using var second = await tenant.Post(
            "/v1/jobs", Train.Replace("\"epochs\":2", "\"epochs\":3", StringComparison.Ordinal), key: "order-1");

        await ShouldBeProblem(second, HttpStatusCode.Conflict, "idempotency.key_reused");
    }

    [Fact]
    public async Task A_write_without_an_idempotency_key_names_it()
    {
        var tenant = await world.Tenant();

        using var response = await Tenant.Send(tenant.Http, HttpMethod.Post, "/v1/jobs", Train, key: null);

        await ShouldBeProblem(response, HttpStatusCode.BadRequest, "request.invalid", "Idempotency-Key");
    }

    /// <summary>One line per mistake: what of the good request is replaced by what, and the field that the answer names.</summary>
    public static TheoryData<string, string, string> Mistakes => new()
    {
        { "\"fashion-mnist\"", "\"imagenet\"", "spec.dataset" },
        { "\"epochs\":2", "\"epochs\":0", "spec.epochs" },
        { "\"epochs\":2", "\"epochs\":\"two\"", "spec.epochs" },
        { "\"epochs\":2", "\"epochs\":2.5", "spec.epochs" },
        { "\"epochs\":2,", "", "spec.epochs" },
        { "\"epochs\":2", "\"epochs\":2,\"epoch\":3", "spec.epoch" },
        { "\"learning_rate\":\"0.001\"", "\"learning_rate\":0.001", "spec.learning_rate" },
        { "\"learning_rate\":\"0.001\"", "\"learning_rate\":\"-1\"", "spec.learning_rate" },
        { "[128]", "[128,0]", "spec.model.hidden_sizes" },
        { "[128]", "null", "spec.model.hidden_sizes" },
        { "\"gpu_milli\":100", "\"gpu_milli\":0", "gpu_milli" },
        { "\"gpu_milli\":100", "\"gpu_milli\":1001", "gpu_milli" },
        { "\"reserved\"", "\"cheap\"", "pool" },
        { "\"gpu_milli\":100", "\"gpu_milli\":100,\"priority\":9", "priority" },
        { "\"kind\":\"train\"", "\"kind\":\"conquer\"", "spec" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_wrong_field_is_named(string good, string wrong, string field)
    {
        var tenant = await world.Tenant();

        using var response = await tenant.Post("/v1/jobs", Train.Replace(good, wrong, StringComparison.Ordinal));

        await ShouldBeProblem(response, HttpStatusCode.BadRequest, "request.invalid", field);
        using var listed = await tenant.Get("/v1/jobs");
        (await Tenant.Read<Page<JobView>>(listed)).Items.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"spec\":null}")]
    [InlineData("{\"spec\":{}}")]
    [InlineData("{}")]
    public async Task What_is_no_request_is_a_400(string body)
    {
        var tenant = await world.Tenant();

        using var response = await tenant.Post("/v1/jobs", body);

        await ShouldBeProblem(response, HttpStatusCode.BadRequest, "request.invalid");
    }

    [Fact]
    public async Task Inference_needs_a_completed_train_job_of_the_same_tenant()
    {
        var tenant = await world.Tenant();
        var other = await world.Tenant();
        var training = await tenant.Submit();
        var foreign = await other.Submit();

        using var unfinished = await tenant.Post("/v1/jobs", Infer(training.JobId));
        using var stolen = await tenant.Post("/v1/jobs", Infer(foreign.JobId));

        await ShouldBeProblem(unfinished, HttpStatusCode.UnprocessableEntity, "job.trained_by_not_completed", "spec.trained_by");
        await ShouldBeProblem(stolen, HttpStatusCode.UnprocessableEntity, "job.trained_by_unknown", "spec.trained_by");
    }

    [Fact]
    public async Task A_list_is_read_page_by_page_newest_first()
    {
        var tenant = await world.Tenant();
        var submitted = new List<JobId>();
        for (var i = 0; i < 5; i++)
            submitted.Add((await tenant.Submit()).JobId);

        var read = new List<JobId>();
        string? cursor = null;
        do
        {
            using var response = await tenant.Get($"/v1/jobs?limit=2&status=queued{(cursor is null ? "" : $"&cursor={cursor}")}");
            var page = await Tenant.Read<Page<JobView>>(response);
            page.Items.Count.ShouldBeLessThanOrEqualTo(2);
            read.AddRange(page.Items.Select(job => job.JobId));
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        read.ShouldBe(submitted.AsEnumerable().Reverse());
    }

    [Theory]
    [InlineData("?status=lost", "status")]
    [InlineData("?limit=0", "limit")]
    [InlineData("?limit=201", "limit")]
    [InlineData("?limit=many", "limit")]
    [InlineData("?cursor=%2A", "cursor")]
    public async Task A_wrong_query_names_the_parameter(string query, string field)
    {
        var tenant = await world.Tenant();

        using var response = await tenant.Get("/v1/jobs" + query);

        await ShouldBeProblem(response, HttpStatusCode.BadRequest, "request.invalid", field);
    }

    [Fact]
    public async Task An_id_that_is_none_is_a_400()
    {
        var tenant = await world.Tenant();

        using var response = await tenant.Get($"/v1/jobs/{Guid.Empty}");

        await ShouldBeProblem(response, HttpStatusCode.BadRequest, "request.invalid", "job_id");
    }

    [Fact]
    public async Task A_job_that_has_ended_cannot_be_cancelled_and_one_that_is_cancelled_stays_so()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var job = await tenant.Submit(worker);
        await worker.Completed(await worker.TakeOrder());
        await tenant.Job(job.JobId, JobStatus.Completed);

        using var refused = await tenant.Post($"/v1/jobs/{job.JobId}/cancel");

        await ShouldBeProblem(refused, HttpStatusCode.Conflict, "job.ended");
        await worker.Drained();
    }

    [Fact]
    public async Task Operators_see_the_fleet_and_tenants_do_not()
    {
        await using var worker = await ScriptedWorker.Start(world);
        var tenant = await world.Tenant();
        var @operator = await world.Tenant(ApiKeyScope.Operator, TenantId.Operator);
        await tenant.Submit(worker, gpuMilli: 300);
        await worker.TakeOrder();

        using var forbidden = await tenant.Get("/v1/workers");
        await ShouldBeProblem(forbidden, HttpStatusCode.Forbidden, "auth.scope_forbidden");
        using var seen = await @operator.Get("/v1/workers");
        var answer = (await Tenant.Read<Page<ListWorkers.FleetWorker>>(seen)).Items.Single(w => w.WorkerId == worker.Id);
        answer.Status.ShouldBe(WorkerStatus.Active);
        answer.LastHeardAt.ShouldNotBeNull();
        answer.Devices.ShouldBe([new(0, worker.Flavor, 1_000_000_000, FreeMilli: 700)]);

        using var impossible = await tenant.Post(
            "/v1/jobs", Tenant.For(worker).Replace(worker.Flavor, "abacus", StringComparison.Ordinal));
        await ShouldBeProblem(impossible, HttpStatusCode.UnprocessableEntity, "job.shape_impossible", "flavor");
        await worker.Drained();
    }

    [Fact]
    public async Task The_api_is_described_as_approved()
    {
        using var http = world.Scheduler.CreateClient();

        using var response = await http.GetAsync("/openapi/v1.json", TestContext.Current.CancellationToken);

        Approve.Text(await Text(response.EnsureSuccessStatusCode()), "openapi.json");
    }

    private static string Infer(JobId trainedBy) =>
        $$"""{"spec":{"kind":"infer","trained_by":"{{trainedBy}}","dataset":"fashion-mnist","samples":100,"batch_size":50},"pool":"reserved"}""";

    private static Task<string> Text(HttpResponseMessage response) =>
        response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

    private static async Task ShouldBeProblem(HttpResponseMessage response, HttpStatusCode status, string code, string? field = null)
    {
        var text = await Text(response);
        response.StatusCode.ShouldBe(status, text);
        (response.Content.Headers.ContentType?.MediaType).ShouldBe("application/problem+json");
        using var problem = JsonDocument.Parse(text);
        problem.RootElement.GetProperty("type").GetString().ShouldBe("https://errors.platform.example/" + code);
        if (field is not null)
            problem.RootElement.GetProperty("errors").EnumerateObject().Select(error => error.Name).ShouldContain(field, text);
    }
}
