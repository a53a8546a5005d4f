using System.Text.Json;
using NodaTime;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>Events are corrected by saying so: the ledger keeps both, and counts the corrected value exactly once.</summary>
public sealed class UsageCorrectionSpecs(BillingHost billing)
{
    private const string Path = "/v1/usage/corrections";

    [Fact]
    public async Task A_voided_event_counts_no_more_and_stays_readable()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post("/v1/usage/events", new[] { Call("1", 5), Call("2", 8) });

        var made = await tenant.Admin.Post(Path, new { kind = "void", source = "test", id = "1", reason = "sent by a test run" });

        made.Status.ShouldBe(201, made.Text);
        (await Total(tenant, catalog.Calls)).ShouldBe("8");
        var events = await Events(tenant);
        events.Count.ShouldBe(2);
        events[0].GetProperty("data").GetProperty("calls").GetString().ShouldBe("5");
        events[0].GetProperty("counted").ValueKind.ShouldBe(JsonValueKind.Null);
        var correction = events[0].GetProperty("corrections").EnumerateArray().ShouldHaveSingleItem();
        correction.GetProperty("kind").GetString().ShouldBe("void");
        correction.GetProperty("reason").GetString().ShouldBe("sent by a test run");
        correction.GetProperty("actor").GetString()!.ShouldStartWith("api_key/");
        correction.GetProperty("at").GetString().ShouldBe("2026-03-10T12:00:00Z");
        correction.GetProperty("position").GetInt64().ShouldBeGreaterThan(events[1].GetProperty("position").GetInt64());
        events[1].GetProperty("corrections").GetArrayLength().ShouldBe(0);
        events[1].GetProperty("counted").GetProperty("calls").GetString().ShouldBe("8");
    }

    [Fact]
    public async Task An_amended_event_counts_its_newest_data_and_its_repeat_is_still_a_repeat()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post("/v1/usage/events", Call("a/b ?&é", 5, source: "any/text: ü"));

        foreach (var calls in new[] { "7.5", "3" })
            (await Amend(tenant.Partner, new { calls })).Status.ShouldBe(201);

        (await Total(tenant, catalog.Calls)).ShouldBe("3");
        (await tenant.Partner.Post("/v1/usage/events", new[] { Call("a/b ?&é", 5, source: "any/text: ü") }))
            .Json.GetProperty("duplicates").GetInt32().ShouldBe(1);
        (await tenant.Partner.Post("/v1/usage/events", new[] { Call("a/b ?&é", 3, source: "any/text: ü") }))
            .Json.GetProperty("conflicts").GetInt32().ShouldBe(1, "a correction is no new report");
        var it = (await Events(tenant)).ShouldHaveSingleItem();
        it.GetProperty("counted").GetProperty("calls").GetString().ShouldBe("3");
        it.GetProperty("corrections").EnumerateArray()
            .Select(made => (made.GetProperty("before").GetProperty("calls").GetString(), made.GetProperty("after").GetProperty("calls").GetString()))
            .ShouldBe([("5", "7.5"), ("7.5", "3")]);

        foreach (var (data, code) in new (object, string)[]
        {
            (new { calls = "-1" }, "usage.quantity_negative"), (new { calls = "many" }, "usage.quantity_invalid"),
            (new { other = "1" }, "usage.quantity_missing"),
        })
        {
            var refused = await Amend(tenant.Partner, data);
            refused.Status.ShouldBe(422, refused.Text);
            refused.Code.ShouldBe(code);
            refused.Fields.ShouldBe(["data.calls"]);
        }

        (await Total(tenant, catalog.Calls)).ShouldBe("3");

        Task<Answer> Amend(Caller caller, object data) =>
            caller.Post(Path, new { kind = "amend", source = "any/text: ü", id = "a/b ?&é", reason = "recount", data });
    }

    [Fact]
    public async Task Counting_meters_follow_corrections_too()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post("/v1/usage/events", Enumerable.Range(1, 5).Select(i =>
            new { id = $"{i}", source = "test", type = catalog.RequestType, time = "2026-03-09T11:00:00Z", data = new { } }).ToArray());

        (await Correct(tenant.Admin, "void", "1")).Status.ShouldBe(201);
        (await Correct(tenant.Admin, "amend", "2", new { note = "still one" })).Status.ShouldBe(201);

        (await Total(tenant, catalog.Requests)).ShouldBe("4");
    }

    [Fact]
    public async Task What_cannot_be_corrected_is_refused_and_changes_nothing()
    {
        var (tenant, catalog) = await New();
        var stranger = await billing.NewTenant();
        await tenant.Partner.Post("/v1/usage/events", new[] { Call("1", 5), Call("2", 8) });
        (await Correct(tenant.Admin, "void", "1")).Status.ShouldBe(201);

        await Refused(Correct(tenant.Admin, "void", "1"), 409, "usage_event.voided");
        await Refused(Correct(tenant.Admin, "amend", "1", new { calls = "1" }), 409, "usage_event.voided");
        await Refused(Correct(tenant.Admin, "void", "unknown"), 404, "usage_event.not_found");
        await Refused(Correct(stranger.Admin, "void", "2"), 404, "usage_event.not_found");
        await Refused(Correct(tenant.Viewer, "void", "2"), 403, "auth.scope_forbidden");
        await Refused(Correct(billing.Anonymous, "void", "2"), 401, "auth.key_missing_or_unknown");
        await Refused(tenant.Admin.Post(Path, new { kind = "void", source = "test", id = "2", reason = "x" }, idempotencyKey: ""), 400, "request.invalid");

        foreach (var (body, field) in new (object, string)[]
        {
            (new { kind = "void", source = "test", id = "2" }, "reason"),
            (new { kind = "void", source = "test", id = "2", reason = " " }, "reason"),
            (new { kind = "void", source = "test", id = "2", reason = "a\0b" }, "reason"),
            (new { kind = "void", source = "test", id = "a\0b", reason = "x" }, "id"),
            (new { kind = "void", source = "", id = "2", reason = "x" }, "source"),
            (new { kind = "void", source = "test", id = "2", reason = "x", data = new { calls = "1" } }, "data"),
            (new { kind = "amend", source = "test", id = "2", reason = "x" }, "data"),
            (new { kind = "amend", source = "test", id = "2", reason = "x", data = new { calls = "1\0" } }, "data.calls"),
            (new { kind = "forget", source = "test", id = "2", reason = "x" }, "kind"),
        })
        {
            var answer = await tenant.Admin.Post(Path, body);
            answer.Status.ShouldBe(400, answer.Text);
            answer.Fields.ShouldBe([field]);
        }

        (await Total(tenant, catalog.Calls)).ShouldBe("8");
        (await billing.Count("usage_corrections", tenant.Id)).ShouldBe(1);
    }

    [Fact]
    public async Task A_correction_sent_again_is_made_once_and_of_many_voids_at_once_one_wins()
    {
        var (tenant, catalog) = await New();
        await tenant.Partner.Post("/v1/usage/events", new[] { Call("1", 5), Call("2", 8), Call("3", 1) });
        var request = new { kind = "amend", source = "test", id = "1", reason = "recount", data = new { calls = "6" } };

        var first = await tenant.Admin.Post(Path, request, idempotencyKey: "once");
        var again = await tenant.Admin.Post(Path, request, idempotencyKey: "once");
        var many = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Correct(tenant.Admin, "void", "2")));

        again.Text.ShouldBe(first.Text);
        many.Count(answer => answer.Status == 201).ShouldBe(1);
        many.Count(answer => answer.Status == 409).ShouldBe(7);
        (await billing.Count("usage_corrections", tenant.Id)).ShouldBe(2);
        (await Total(tenant, catalog.Calls)).ShouldBe("7");
    }

    [Fact]
    public async Task What_a_worker_signed_is_corrected_by_an_operator_alone()
    {
        var (tenant, catalog) = await New();
        using var worker = new WorkerUsage(tenant.Id, billing.Clock.Now - Duration.FromHours(1));
        foreach (var message in new object[] { worker.Registered, worker.Placed, worker.Next(5_000) })
            await billing.Bus.Publish(message, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await billing.Count("usage_events", tenant.Id) == 1, "the batch is taken");
        var request = new
        {
            kind = "amend",
            source = $"worker/{worker.Registered.WorkerId}",
            id = $"{worker.Placed.AttemptId}/1/gpu.time",
            reason = "clock was wrong",
            data = new { milliseconds = "4000" },
        };

        await Refused(tenant.Admin.Post(Path, request), 403, "usage_event.forbidden");
        await Refused(tenant.Partner.Post(Path, request), 403, "usage_event.forbidden");
        (await Total(tenant, catalog.Gpu)).ShouldBe("5000");
        (await billing.Operator.For(tenant.Id).Post(Path, request)).Status.ShouldBe(201);

        (await Total(tenant, catalog.Gpu)).ShouldBe("4000");
        (await tenant.Viewer.Get($"/v1/usage/attempts/{worker.Placed.AttemptId}/chain")).Json.GetProperty("verified").GetBoolean()
            .ShouldBeTrue("what was signed stays as it was signed");
    }

    [Fact]
    public async Task An_open_period_is_invoiced_at_its_corrected_value()
    {
        var (tenant, catalog) = await New();
        var subscription = await BillingHost.Subscribe(tenant, catalog);
        await tenant.Partner.Post("/v1/usage/events", new[] { Call("1", 5), Call("2", 8), Call("3", 16) });
        await Correct(tenant.Admin, "void", "1");
        await Correct(tenant.Admin, "amend", "2", new { calls = "10" });

        var invoice = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");

        invoice.Status.ShouldBe(201, invoice.Text);
        Calls(invoice.Json).ShouldBe([("usage", "26", "1.30")]);
    }

    internal static (string?, string?, string?)[] Calls(JsonElement invoice) =>
    [
        .. invoice.GetProperty("lines").EnumerateArray().Where(line => line.GetProperty("unit").GetString() == "call")
            .Select(line => (
                line.GetProperty("kind").GetString(), line.GetProperty("quantity").GetString(),
                line.GetProperty("amount").GetProperty("amount").GetString())),
    ];

    internal static Task<Answer> Correct(Caller caller, string kind, string id, object? data = null) => caller.Post(
        Path,
        data is null
            ? new { kind, source = "test", id, reason = "a reason" }
            : new { kind, source = "test", id, reason = "a reason", data });

    private static async Task Refused(Task<Answer> asked, int status, string code)
    {
        var answer = await asked;
        answer.Status.ShouldBe(status, answer.Text);
        answer.Code.ShouldBe(code);
    }

    private async Task<(TestTenant Tenant, TestCatalog Catalog)> New() => (await billing.NewTenant(), await billing.NewCatalog());

    private static async Task<List<JsonElement>> Events(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/usage/events")).Json.GetProperty("items").EnumerateArray()];
}
