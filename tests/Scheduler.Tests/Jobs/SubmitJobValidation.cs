using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Tenants;
using Platform.ServiceDefaults;
using static Platform.Scheduler.Tests.Jobs.JobHistory;

namespace Platform.Scheduler.Tests.Jobs;

public class SubmitJobValidation
{
    private static readonly SubmitJob.JobSubmission Good = new(Train());

    /// <summary>One line per rule: what is wrong, and the field that the answer names.</summary>
    public static TheoryData<string, SubmitJob.JobSubmission> Wrong => new()
    {
        { "gpu_milli", Good with { GpuMilli = 0 } },
        { "gpu_milli", Good with { GpuMilli = 1001 } },
        { "pool", Good with { Pool = "cheap" } },
        { "flavor", Good with { Flavor = "" } },
        { "flavor", Good with { Flavor = "Nvidia H200" } },
        { "spec.dataset", new(Train(dataset: "imagenet")) },
        { "spec.epochs", new(Train(epochs: 0)) },
        { "spec.epochs", new(Train(epochs: 1001)) },
        { "spec.batch_size", new(Train(batchSize: 0)) },
        { "spec.batch_size", new(Train(batchSize: 65_537)) },
        { "spec.learning_rate", new(Train(learningRate: 0)) },
        { "spec.learning_rate", new(Train(learningRate: 1.01m)) },
        { "spec.model.hidden_sizes", new(Train() with { Model = new MultilayerPerceptron([]) }) },
        { "spec.model.hidden_sizes", new(Train(hiddenSizes: [128, 0])) },
        { "spec.model.hidden_sizes", new(Train(hiddenSizes: [8193])) },
        { "spec.model.hidden_sizes", new(Train(hiddenSizes: [.. Enumerable.Repeat(8, 17)])) },
        { "spec.samples", new(Infer(samples: 0)) },
        { "spec.samples", new(Infer(samples: 10_001)) },
        { "spec.batch_size", new(Infer(batchSize: 0)) },
        { "spec.dataset", new(Infer() with { Dataset = "mnist" }) },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_wrong_field_is_named(string field, SubmitJob.JobSubmission body) =>
        Should.Throw<InvalidRequestException>(() => SubmitJob.Validate(body).ThrowIfAny())
            .Errors.Keys.ShouldBe([field]);

    [Fact]
    public void Everything_that_is_wrong_is_said_at_once() =>
        Should.Throw<InvalidRequestException>(
                () => SubmitJob.Validate(new(Train(epochs: 0, batchSize: 0), GpuMilli: 0)).ThrowIfAny())
            .Errors.Keys.ShouldBe(["spec.epochs", "spec.batch_size", "gpu_milli"], ignoreOrder: true);

    [Fact]
    public void The_limits_themselves_are_fine()
    {
        var largest = Train(epochs: 1000, batchSize: 65_536, learningRate: 1, hiddenSizes: [8192]);
        SubmitJob.Validate(new(largest, GpuMilli: 1)).Any.ShouldBeFalse();
        SubmitJob.Validate(new(Infer(samples: 10_000), GpuMilli: 1000, Pool: "spot", Flavor: "nvidia-h200")).Any.ShouldBeFalse();
    }

    /// <summary>One line per rule of admission: the facts, and the refusal's code and field.</summary>
    public static TheoryData<string?, string?, JobSpec, string?, TenantStanding, JobEvent[]?, string[]> Admissions
    {
        get
        {
            JobEvent[] trained = [Submitted(), Placed(), Completed()];
            JobEvent[] training = [Submitted(), Placed()];
            JobEvent[] inferred = [Submitted(spec: Infer()), Placed(), Completed()];
            return new()
            {
                { null, null, Train(), "cpu", TenantStanding.Active, null, ["cpu"] },
                { null, null, Train(), "cpu", TenantStanding.Active, null, [] },
                { null, null, Train(), null, TenantStanding.Active, null, ["cpu"] },
                { null, null, Infer(), null, TenantStanding.Active, trained, ["cpu"] },
                { "tenant.unknown", "tenant", Train(), null, TenantStanding.Unknown, null, [] },
                { "tenant.suspended", null, Train(), "cpu", TenantStanding.Suspended, null, ["cpu"] },
                { "tenant.sandbox", null, Train(), "cpu", TenantStanding.Sandbox, null, ["cpu"] },
                { "job.shape_impossible", "flavor", Train(), "nvidia-h200", TenantStanding.Active, null, ["cpu"] },
                { "job.trained_by_unknown", "spec.trained_by", Infer(), null, TenantStanding.Active, null, [] },
                { "job.trained_by_not_completed", "spec.trained_by", Infer(), null, TenantStanding.Active, training, [] },
                { "job.trained_by_not_train", "spec.trained_by", Infer(), null, TenantStanding.Active, inferred, [] },
            };
        }
    }

    [Theory]
    [MemberData(nameof(Admissions))]
    public void Admission_follows_the_table(
        string? code, string? field, JobSpec spec, string? flavor, TenantStanding tenant, JobEvent[]? trainedBy, string[] flavors)
    {
        var view = trainedBy?.Aggregate((JobView?)null, JobView.Project);

        var refusal = SubmitJob.Admit(new(spec, Flavor: flavor), new(tenant, Entitlements.Unlimited, view, flavors));

        (refusal?.Code).ShouldBe(code);
        (refusal?.Field).ShouldBe(field);
    }
}
