using System.Globalization;
using System.Text.Json;
using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Tenants;
using Platform.Testing;
using static Platform.Scheduler.Tests.Jobs.JobHistory;

namespace Platform.Scheduler.Tests.Jobs;

public class AdmissionSpecs
{
    /// <summary>
    /// One line per case: the limits; the tenant's jobs that have not ended, as count/queued/thousandths; what the new job asks for;
    /// what is refused; what is said.
    /// </summary>
    public static TheoryData<string, string, int, string?, string> Limits => new()
    {
        { "", "100/100/90000", 1000, null, "" },
        { "jobs.concurrent 8 hard", "7/0/0", 1000, null, "" },
        { "jobs.concurrent 8 hard", "8/0/0", 1000, "limit.jobs_concurrent.reached", "" },
        { "jobs.concurrent 0 hard", "0/0/0", 1, "limit.jobs_concurrent.reached", "" },
        { "jobs.concurrent 8 soft", "8/0/0", 1000, null, "limit.jobs_concurrent.reached" },
        { "jobs.concurrent 8 soft, jobs.concurrent 9 hard", "8/0/0", 1000, null, "limit.jobs_concurrent.reached" },
        { "jobs.concurrent 8 soft, jobs.concurrent 9 hard", "9/0/0", 1000, "limit.jobs_concurrent.reached", "" },
        { "jobs.queued 2 hard", "9/1/0", 1000, null, "" },
        { "jobs.queued 2 hard", "2/2/0", 1000, "limit.jobs_queued.reached", "" },
        { "gpu.milli 2000 hard", "3/0/1500", 500, null, "" },
        { "gpu.milli 2000 hard", "3/0/1500", 501, "limit.gpu_milli.reached", "" },
        { "gpu.milli 500 hard", "0/0/0", 1000, "limit.gpu_milli.reached", "" },
        { "gpu.milli 500 soft, jobs.queued 0 soft", "0/0/0", 1000, null, "limit.gpu_milli.reached limit.jobs_queued.reached" },
        { "gpu.milli 500 soft, jobs.queued 0 hard", "0/0/0", 1000, "limit.jobs_queued.reached", "" },
        { "seats 0 hard", "3/0/0", 1000, null, "" },
        { "usage:gpu.seconds 3600 hard", "3/0/0", 1000, null, "" },
        { "usage:gpu.seconds 3600 hard reached", "0/0/0", 1, "limit.usage.reached", "" },
        { "jobs.queued 0 soft, usage:gpu.seconds 3600 hard reached", "0/0/0", 1, "limit.usage.reached", "" },
    };

    [Theory]
    [MemberData(nameof(Limits))]
    public void A_hard_limit_refuses_and_a_soft_one_is_said(string limits, string open, int gpuMilli, string? refused, string said)
    {
        var numbers = open.Split('/').Select(number => long.Parse(number, CultureInfo.InvariantCulture)).ToArray();

        var decision = SubmitJob.Decide(
            Submit(gpuMilli), new([], Parse(limits)), new(numbers[0], numbers[1], numbers[2]), Job.Initial);

        (decision.Refusal?.Code).ShouldBe(refused);
        var warnings = decision.Events.Cast<JobEvent.Submitted>().SelectMany(submitted => submitted.Warnings ?? []);
        string.Join(' ', warnings.Select(warning => warning.Code)).ShouldBe(said);
    }

    [Theory]
    // limit that is reached -> the field of the request that is too much, and what is said of it
    [InlineData("gpu.milli 500 hard", "gpu_milli", "The tenant's limit of 500 gpu.milli is reached.")]
    [InlineData("jobs.concurrent 0 hard", "body", "The tenant's limit of 0 jobs.concurrent is reached.")]
    [InlineData("jobs.queued 0 hard", "body", "The tenant's limit of 0 jobs.queued is reached.")]
    [InlineData("usage:gpu.seconds 0.5 hard reached", "body", "The tenant's limit of 0.5 of gpu.seconds in a billing period is reached.")]
    public void A_refusal_names_the_limit_and_what_of_the_request_is_too_much(string limit, string field, string reason)
    {
        var refusal = SubmitJob.Decide(Submit(1000), new([], Parse(limit)), OpenJobs.None, Job.Initial).Refusal!;

        refusal.Field.ShouldBe(field);
        refusal.Reason.ShouldBe(reason);
    }

    [Fact]
    public void A_repeat_finds_its_job_also_where_the_limit_is_reached() =>
        Spec<Job, JobEvent>.Given(Submitted())
            .When(job => SubmitJob.Decide(Submit(500), new([], Parse("jobs.concurrent 1 hard")), new(1, 1, 500), job))
            .ThenNothing();

    /// <summary>One line per case: what the tenant may use, pool and flavor of the job, and the field that is refused.</summary>
    public static TheoryData<string[], string, string?, string?> Features => new()
    {
        { [], "spot", null, null },
        { ["support.priority"], "spot", null, null },
        { ["pool.spot"], "spot", "cpu", null },
        { ["pool.spot", "pool.reserved"], "reserved", null, null },
        { ["pool.spot"], "reserved", null, "pool" },
        { ["gpu.nvidia-h200"], "spot", "nvidia-h200", null },
        { ["gpu.nvidia-h200"], "spot", "cpu", "flavor" },
        { ["gpu.nvidia-h200"], "spot", null, "flavor" },
        { ["gpu.nvidia-h200", "pool.spot"], "spot", "nvidia-h200", null },
    };

    [Theory]
    [MemberData(nameof(Features))]
    public void Pools_and_flavors_that_are_not_granted_are_refused(string[] features, string pool, string? flavor, string? field)
    {
        var facts = new SubmitJob.Facts(TenantStanding.Active, new(features, []), TrainedBy: null, FlavorsInPool: []);

        var refusal = SubmitJob.Admit(new(Train(), Pool: pool, Flavor: flavor), facts);

        (refusal?.Field).ShouldBe(field);
        (refusal?.Code).ShouldBe(field is null ? null : $"entitlement.{field}.forbidden");
    }

    [Fact]
    public void A_job_beyond_a_soft_limit_is_stored_as_approved()
    {
        var decision = SubmitJob.Decide(Submit(500), new([], Parse("gpu.milli 400 soft")), OpenJobs.None, Job.Initial);

        Approve.Text(
            JsonSerializer.Serialize(decision.Events.ShouldHaveSingleItem(), SchedulerJson.Storage), "job.submitted.v1.warnings.json");
    }

    private static SubmitJob.Command Submit(int gpuMilli) =>
        new(Id, Tenant, Train(), new("on-demand", Flavor: null, gpuMilli), AttemptsMax: 5, Noon);

    private static EntitledLimit[] Parse(string limits) =>
    [
        .. limits.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(limit => limit.Split(' ')).Select(it => new EntitledLimit(
            it[0].Split(':')[0], decimal.Parse(it[1], CultureInfo.InvariantCulture), Enum.Parse<LimitMode>(it[2], ignoreCase: true),
            it[0].Split(':').ElementAtOrDefault(1), Reached: it.Contains("reached"))),
    ];
}
