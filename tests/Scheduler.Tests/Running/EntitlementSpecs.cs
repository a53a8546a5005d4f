using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Tenants;

namespace Platform.Scheduler.Tests.Running;

/// <summary>What Billing says that a tenant may use, and what becomes of the jobs that it submits then.</summary>
public sealed class EntitlementSpecs(SchedulerWorld world) : IClassFixture<SchedulerWorld>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_hard_limit_refuses_the_job_that_would_go_beyond_it_until_another_ends()
    {
        var tenant = await world.Tenant();
        await Tell(tenant, new EntitledLimit("jobs.concurrent", 1, LimitMode.Hard));
        var first = await tenant.Submit();

        using var refused = await tenant.Post("/v1/jobs", Running.Tenant.TrainBody);

        refused.StatusCode.ShouldBe(HttpStatusCode.Conflict);
        var problem = await refused.Content.ReadAsStringAsync(Cancellation);
        problem.ShouldContain("/limit.jobs_concurrent.reached");
        problem.ShouldContain("\"errors\":{\"body\":");
        using var cancelled = await tenant.Post($"/v1/jobs/{first.JobId}/cancel");
        (await tenant.Submit()).Warnings.ShouldBeNull();
    }

    [Fact]
    public async Task Usage_that_came_to_its_limit_keeps_jobs_out_until_Billing_says_that_there_is_room_again()
    {
        var tenant = await world.Tenant();
        await Tell(tenant, new EntitledLimit("usage", 3600, LimitMode.Hard, "gpu.seconds"));
        await tenant.Submit();
        await Told(tenant, version: 2, reached: true);

        using var refused = await tenant.Post("/v1/jobs", Running.Tenant.TrainBody);

        refused.StatusCode.ShouldBe(HttpStatusCode.Conflict);
        var problem = await refused.Content.ReadAsStringAsync(Cancellation);
        problem.ShouldContain("/limit.usage.reached");
        problem.ShouldContain("gpu.seconds");
        problem.ShouldContain("\"errors\":{\"body\":");

        await Told(tenant, version: 3, reached: false);
        await tenant.Submit();
    }

    [Fact]
    public async Task A_soft_limit_lets_the_job_through_and_says_so_whenever_it_is_read()
    {
        var tenant = await world.Tenant();
        await Tell(tenant, new EntitledLimit("gpu.milli", 150, LimitMode.Soft));
        (await tenant.Submit()).Warnings.ShouldBeNull();

        var beyond = await tenant.Submit();

        beyond.Warnings.ShouldHaveSingleItem().Code.ShouldBe("limit.gpu_milli.reached");
        (await tenant.Job(beyond.JobId)).Warnings.ShouldHaveSingleItem().Text.ShouldBe("The job goes beyond the tenant's limit of 150 gpu.milli.");
    }

    [Fact]
    public async Task A_pool_that_is_not_granted_is_forbidden()
    {
        var tenant = await world.Tenant();
        await world.Bus.Publish(new EntitlementsChanged(tenant.TenantId, Version: 1, ["pool.spot"], [], Clock.Now));
        await Eventually.True(async () => (await Known(tenant)).Features.Count == 1);

        using var refused = await tenant.Post("/v1/jobs", Running.Tenant.TrainBody);

        refused.StatusCode.ShouldBe(HttpStatusCode.Forbidden);
        var problem = await refused.Content.ReadAsStringAsync(Cancellation);
        problem.ShouldContain("/entitlement.pool.forbidden");
        problem.ShouldContain("\"pool\"");
    }

    [Fact]
    public async Task Many_submissions_at_once_fill_a_limit_exactly()
    {
        var tenant = await world.Tenant();
        await Tell(tenant, new EntitledLimit("jobs.concurrent", 3, LimitMode.Hard));

        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(async _ =>
        {
            using var answer = await tenant.Post("/v1/jobs", Running.Tenant.TrainBody);
            return answer.StatusCode;
        }));

        answers.Count(status => status == HttpStatusCode.Created).ShouldBe(3);
        answers.Count(status => status == HttpStatusCode.Conflict).ShouldBe(9);
    }

    [Theory]
    [InlineData(1, 2, 3)]
    [InlineData(3, 1, 2)]
    [InlineData(2, 3, 1)]
    [InlineData(3, 3, 2)]
    public async Task The_newest_version_holds_in_whatever_order_the_messages_come(params int[] versions)
    {
        var directory = world.Scheduler.Services.GetRequiredService<TenantDirectory>();
        var tenant = TenantId.New();

        foreach (var version in versions)
        {
            await directory.Keep(
                new(tenant, version, [], [new("jobs.queued", version, LimitMode.Hard)], Clock.Now), Cancellation);
        }

        (await directory.EntitlementsOf(tenant, Cancellation)).Limits.ShouldHaveSingleItem().Max.ShouldBe(3);
    }

    [Fact]
    public async Task Whoever_nothing_was_said_of_is_not_bounded()
    {
        var tenant = await world.Tenant();

        (await Known(tenant)).ShouldBe(Entitlements.Unlimited);
    }

    private async Task Tell(Tenant tenant, params EntitledLimit[] limits)
    {
        await world.Bus.Publish(new EntitlementsChanged(tenant.TenantId, Version: 1, [], limits, Clock.Now));
        await Eventually.True(async () => (await Known(tenant)).Limits.Count == limits.Length);
    }

    private async Task Told(Tenant tenant, long version, bool reached)
    {
        await world.Bus.Publish(new EntitlementsChanged(
            tenant.TenantId, version, [], [new("usage", 3600, LimitMode.Hard, "gpu.seconds", reached)], Clock.Now));
        await Eventually.True(async () => (await Known(tenant)).Limits.Single().Reached == reached);
    }

    private Task<Entitlements> Known(Tenant tenant) =>
        world.Scheduler.Services.GetRequiredService<TenantDirectory>().EntitlementsOf(tenant.TenantId, Cancellation);
}
