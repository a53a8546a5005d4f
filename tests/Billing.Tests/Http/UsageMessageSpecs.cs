using System.Text.Json;
using MassTransit;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.Billing.Tests.Http;

/// <summary>Usage by message: each signed batch is charged once, or is in quarantine, and is never lost.</summary>
public sealed class UsageMessageSpecs(BillingHost billing)
{
    [Fact]
    public async Task A_message_redelivered_ten_times_is_charged_once()
    {
        var (tenant, worker) = await Placed();
        using var _ = worker;
        var batch = worker.Next(5_000, calls: 3);

        // Ten deliveries at once and of one message id, as a broker that lost the acknowledgements would do.
        var id = Guid.CreateVersion7();
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => billing.Bus.Publish(
            batch, context => context.MessageId = id, BillingHost.Cancellation)));
        await billing.Bus.Publish(worker.Next(1), BillingHost.Cancellation);

        await BillingHost.Eventually(async () => await billing.Count("usage_batches", tenant.Id) == 2, "both batches are taken");
        await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System, BillingHost.Cancellation);
        (await Events(tenant)).Select(it => (it.GetProperty("type").GetString(), it.GetProperty("id").GetString())).ShouldBe(
            [
                ("gpu.time", $"{worker.Placed.AttemptId}/1/gpu.time"), ("inference.call", $"{worker.Placed.AttemptId}/1/inference.call"),
                ("gpu.time", $"{worker.Placed.AttemptId}/2/gpu.time"),
            ]);
        (await billing.Count("usage_quarantine", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task What_arrives_before_its_placement_and_its_worker_waits_and_is_charged_when_they_come()
    {
        var tenant = await billing.NewTenant();
        using var worker = new WorkerUsage(tenant.Id, billing.Clock.Now - Duration.FromHours(1));
        foreach (var batch in new[] { worker.Next(), worker.Next() })
            await billing.Bus.Publish(batch, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await Waiting() == "attempt_unknown,attempt_unknown", "the batches wait for a placement");

        await billing.Bus.Publish(worker.Placed, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await Waiting() == "worker_unknown,worker_unknown", "they wait for the worker");
        (await billing.Count("usage_events", tenant.Id)).ShouldBe(0, "nothing is charged unverified");

        await billing.Bus.Publish(worker.Registered, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await billing.Count("usage_events", tenant.Id) == 2, "the batches are charged");
        (await Waiting()).ShouldBe("");

        async Task<string> Waiting() => string.Join(',', await Quarantined(tenant));
    }

    public static TheoryData<string, Func<UsageReported, WorkerUsage, UsageReported>> Wrong => new()
    {
        { "signature_invalid", (batch, _) => batch with { Use = batch.Use with { GpuMilliseconds = 1 } } },
        { "worker_mismatch", (batch, worker) => worker.Sign(batch with { WorkerId = WorkerId.New() }) },
        { "job_mismatch", (batch, worker) => worker.Sign(batch with { JobId = JobId.New() }) },
        { "quantity_negative", (batch, worker) => worker.Sign(batch with { Use = batch.Use with { GpuMilliseconds = -1 } }) },
        { "quantity_negative", (batch, worker) => worker.Sign(batch with { Use = batch.Use with { InferenceCalls = -1 } }) },
        { "quantity_out_of_range", (batch, worker) => worker.Sign(batch with { Use = batch.Use with { EnergyJoules = 1e15m } }) },
        { "sequence_invalid", (batch, worker) => worker.Sign(batch with { Sequence = 0 }) },
        { "link_broken", (batch, worker) => worker.Sign(batch with { PreviousHash = new('1', 64) }) },
        { "interval_invalid", (batch, worker) => worker.Sign(batch with { To = batch.From - Duration.Epsilon }) },
        { "time_in_future", (batch, worker) => worker.Sign(batch with { To = batch.To + Duration.FromDays(1) }) },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task What_cannot_be_trusted_is_kept_apart_and_never_charged(
        string code, Func<UsageReported, WorkerUsage, UsageReported> wrong)
    {
        var (tenant, worker) = await Placed();
        using var _ = worker;

        await billing.Bus.Publish(wrong(worker.Next(), worker), BillingHost.Cancellation);

        await BillingHost.Eventually(async () => (await Quarantined(tenant)).SequenceEqual([code]), code);
        (await billing.Count("usage_events", tenant.Id)).ShouldBe(0);
        (await billing.Count("usage_batches", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task A_batch_for_another_tenants_attempt_is_kept_apart()
    {
        var (owner, worker) = await Placed();
        using var _ = worker;
        var victim = await billing.NewTenant();

        await billing.Bus.Publish(worker.Sign(worker.Next() with { TenantId = victim.Id }), BillingHost.Cancellation);

        await BillingHost.Eventually(async () => (await Quarantined(victim)).SequenceEqual(["tenant_mismatch"]), "tenant_mismatch");
        (await billing.Count("usage_events", victim.Id)).ShouldBe(0);
        (await billing.Count("usage_events", owner.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task Another_batch_with_a_taken_number_is_kept_apart()
    {
        var (tenant, worker) = await Placed();
        using var _ = worker;
        var batch = worker.Next(1_000);
        await billing.Bus.Publish(batch, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await billing.Count("usage_batches", tenant.Id) == 1, "the first is taken");

        await billing.Bus.Publish(
            worker.Sign(batch with { Use = batch.Use with { GpuMilliseconds = 9_000 } }), BillingHost.Cancellation);

        await BillingHost.Eventually(async () => (await Quarantined(tenant)).SequenceEqual(["sequence_repeated"]), "the second is not");
        (await Events(tenant)).ShouldHaveSingleItem().GetProperty("data").GetProperty("milliseconds").GetString().ShouldBe("1000");
    }

    [Fact]
    public async Task A_missing_batch_is_seen_in_the_chain()
    {
        var (tenant, worker) = await Placed();
        using var _ = worker;
        var (first, second, third) = (worker.Next(), worker.Next(), worker.Next());
        foreach (var batch in new[] { first, third })
            await billing.Bus.Publish(batch, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => await billing.Count("usage_batches", tenant.Id) == 2, "two batches are taken");

        var chain = await Chain();
        chain.GetProperty("verified").GetBoolean().ShouldBeFalse();
        chain.GetProperty("fault").GetProperty("code").GetString().ShouldBe("batch_missing");
        chain.GetProperty("fault").GetProperty("sequence").GetInt64().ShouldBe(2);

        await billing.Bus.Publish(second, BillingHost.Cancellation);
        await BillingHost.Eventually(async () => (await Chain()).GetProperty("verified").GetBoolean(), "late, but there");

        async Task<JsonElement> Chain() =>
            (await tenant.Viewer.Get($"/v1/usage/attempts/{worker.Placed.AttemptId}/chain")).Json;
    }

    private async Task<(TestTenant Tenant, WorkerUsage Worker)> Placed()
    {
        var tenant = await billing.NewTenant();
        var worker = new WorkerUsage(tenant.Id, billing.Clock.Now - Duration.FromHours(1));
        await billing.Bus.Publish(worker.Registered, BillingHost.Cancellation);
        await billing.Bus.Publish(worker.Placed, BillingHost.Cancellation);
        await BillingHost.Eventually(
            async () => await billing.Count("usage_attempts", tenant.Id) == 1
                && (await billing.Strings($"select 'x' from billing.worker_keys where worker_id = '{worker.Registered.WorkerId}'")).Length == 1,
            "worker and attempt are known");
        return (tenant, worker);
    }

    private async Task<string[]> Quarantined(TestTenant tenant) =>
        [.. (await billing.Operator.For(tenant.Id).Get("/v1/usage/quarantine")).Json.GetProperty("items").EnumerateArray()
            .Select(it => it.GetProperty("code").GetString()!)];

    private static async Task<List<JsonElement>> Events(TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/usage/events")).Json.GetProperty("items").EnumerateArray()];
}
