using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Tenants;
using Platform.ServiceDefaults;

namespace Platform.Scheduler.Jobs;

/// <summary>Takes a job into the queue, if its tenant may and some device could ever run it. Soft limits are only said.</summary>
public static partial class SubmitJob
{
    /// <param name="GpuMilli">Thousandths of one device, 1 to 1000.</param>
    /// <param name="Pool">on-demand, reserved or spot.</param>
    /// <param name="Flavor">The device's model, for example <c>cpu</c>; null takes any.</param>
    public sealed record JobSubmission(JobSpec Spec, int GpuMilli = 1000, string Pool = "on-demand", string? Flavor = null)
    {
        internal JobShape Shape => new(Pool, Flavor, GpuMilli);
    }

    public sealed record Command(JobId JobId, TenantId TenantId, JobSpec Spec, JobShape Shape, int AttemptsMax, Instant At);

    /// <summary>What admission knows beyond the request.</summary>
    /// <param name="TrainedBy">The job that an infer job names; null where the tenant has none of that id.</param>
    /// <param name="FlavorsInPool">Flavors of every worker the pool ever had; empty before the first one registers.</param>
    public sealed record Facts(
        TenantStanding Tenant, Entitlements Entitlements, JobView? TrainedBy, IReadOnlyCollection<string> FlavorsInPool);

    /// <summary>A repeat of the same request finds the job that the first one made.</summary>
    /// <param name="open">The tenant's other jobs; asked for only where its entitlements have limits.</param>
    public static Decision<JobEvent> Decide(Command command, Entitlements entitlements, OpenJobs open, Job job)
    {
        if (job.Status != JobStatus.Missing)
            return [];

        var exceeded = entitlements.Exceeded(open, command.Shape.GpuMilli);
        if (exceeded is [{ Mode: LimitMode.Hard } hard, ..])
            return Refusal.Because(Code(hard), $"The tenant's limit of {Text(hard)} is reached.", Field(hard));

        return
        [
            new JobEvent.Submitted(
                command.JobId, command.TenantId, command.Spec, command.Shape, command.AttemptsMax, command.At,
                exceeded.Count == 0
                    ? null
                    : [.. exceeded.Select(soft => new JobWarning(Code(soft), $"The job goes beyond the tenant's limit of {Text(soft)}."))]),
        ];

        static string Code(EntitledLimit limit) => $"limit.{limit.Limit.Replace('.', '_')}.reached";

        static string Text(EntitledLimit limit) => limit.Meter is { } meter
            ? $"{Decimals.Format(limit.Max)} of {meter} in a billing period"
            : $"{Decimals.Format(limit.Max)} {limit.Limit}";

        // What could be asked for differently; where it is one job too many, that is the job as a whole.
        static string Field(EntitledLimit limit) => limit.Limit == "gpu.milli" ? "gpu_milli" : "body";
    }

    public static Refusal? Admit(JobSubmission body, Facts facts) => body switch
    {
        _ when facts.Tenant == TenantStanding.Unknown =>
            Refusal.Because("tenant.unknown", "The tenant is not active on this platform.", "tenant"),
        _ when facts.Tenant == TenantStanding.Sandbox =>
            Refusal.Because("tenant.sandbox", "No device works for a sandbox; report what it is to be billed for as usage events to Billing."),
        _ when facts.Tenant == TenantStanding.Suspended =>
            Refusal.Because("tenant.suspended", "The tenant is suspended until its overdue invoices are paid."),
        _ when facts.Entitlements.Refuse(body.Shape) is { } forbidden => forbidden,
        { Spec: InferJob } when facts.TrainedBy is null =>
            Refusal.Because("job.trained_by_unknown", "There is no such job.", "spec.trained_by"),
        { Spec: InferJob } when facts.TrainedBy is not { Spec: TrainJob } =>
            Refusal.Because("job.trained_by_not_train", "Only a train job leaves a model.", "spec.trained_by"),
        { Spec: InferJob } when facts.TrainedBy is not { Status: JobStatus.Completed } =>
            Refusal.Because("job.trained_by_not_completed", "The train job has not completed.", "spec.trained_by"),
        // With no worker yet the fleet may still come, so the job waits for it.
        { Flavor: { } flavor } when facts.FlavorsInPool.Count > 0 && !facts.FlavorsInPool.Contains(flavor) =>
            Refusal.Because("job.shape_impossible", "No worker of this pool has such a device.", "flavor"),
        _ => null,
    };

    /// <summary>Checks what can be said from the request alone, and names every field that is wrong.</summary>
    public static FieldErrors Validate(JobSubmission body)
    {
        var errors = new FieldErrors()
            .Require(body.GpuMilli is >= 1 and <= 1000, "gpu_milli", "Between 1 and 1000 thousandths of a device.")
            .Require(Pools.Known.Contains(body.Pool), "pool", $"One of {string.Join(", ", Pools.Known)}.")
            .Require(body.Flavor is null || FlavorName().IsMatch(body.Flavor), "flavor", "Lower-case letters, digits and hyphens.");

        return body.Spec switch
        {
            TrainJob train => Validate(train, errors),
            InferJob infer => Validate(infer, errors),
            _ => errors.Require(false, "spec.kind", "This kind of job is not offered."),
        };
    }

    private static FieldErrors Validate(TrainJob train, FieldErrors errors)
    {
        errors
            .RequireDataset(train.Dataset)
            .Require(train.Epochs is >= 1 and <= 1000, "spec.epochs", "Between 1 and 1000.")
            .Require(train.BatchSize is >= 1 and <= 65_536, "spec.batch_size", "Between 1 and 65536.")
            .Require(train.LearningRate is > 0 and <= 1, "spec.learning_rate", "Above 0 and at most 1.");

        return train.Model switch
        {
            MultilayerPerceptron perceptron => errors
                .Require(perceptron.HiddenSizes.Count is >= 1 and <= 16, "spec.model.hidden_sizes", "1 to 16 hidden layers.")
                .Require(
                    perceptron.HiddenSizes.All(size => size is >= 1 and <= 8192), "spec.model.hidden_sizes",
                    "Each layer has between 1 and 8192 units."),
            _ => errors.Require(false, "spec.model.type", "This type of model is not offered."),
        };
    }

    private static FieldErrors Validate(InferJob infer, FieldErrors errors)
    {
        var samplesMax = Dataset.Known.TryGetValue(infer.Dataset, out var dataset) ? dataset.TestSamples : int.MaxValue;
        return errors
            .RequireDataset(infer.Dataset)
            .Require(
                infer.Samples >= 1 && infer.Samples <= samplesMax, "spec.samples",
                string.Create(CultureInfo.InvariantCulture, $"Between 1 and {samplesMax}, the size of the test split."))
            .Require(infer.BatchSize is >= 1 and <= 65_536, "spec.batch_size", "Between 1 and 65536.");
    }

    private static FieldErrors RequireDataset(this FieldErrors errors, string dataset) => errors.Require(
        Dataset.Known.ContainsKey(dataset), "spec.dataset", $"One of {string.Join(", ", Dataset.Known.Keys)}.");

    public static void Map(RouteGroupBuilder jobs) =>
        jobs.MapPost("/", Handle).ForAdmins().Idempotent().WithName(nameof(SubmitJob))
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status422UnprocessableEntity);

    private static async Task<Results<Created<JobView>, ProblemHttpResult>> Handle(
        Caller caller, RequestId request, JobSubmission body, EventStore.EventStore store, Documents documents, TenantDirectory tenants,
        IOptions<JobOptions> options, TimeProvider clock, CancellationToken cancellation)
    {
        Validate(body).ThrowIfAny();

        var facts = new Facts(
            await tenants.StandingOf(caller.TenantId, cancellation),
            await tenants.EntitlementsOf(caller.TenantId, cancellation),
            body.Spec is InferJob infer ? await JobView.Find(documents, caller.TenantId, infer.TrainedBy, cancellation) : null,
            await WorkerView.FlavorsIn(body.Pool, documents, cancellation));
        if (Admit(body, facts) is { } refusal)
            return refusal.ToProblem();

        // Named by the request's id, so a retry after a crash finds this job instead of making a second one.
        var command = new Command(
            JobId.From(request.Value), caller.TenantId, body.Spec, body.Shape,
            options.Value.AttemptsMax, clock.GetCurrentInstant());
        var (stream, entitlements) = (Job.Stream(caller.TenantId, command.JobId), facts.Entitlements);
        var decided = entitlements.Limits.Count == 0
            ? await store.Decide<Job, JobEvent>(
                stream, job => Decide(command, entitlements, OpenJobs.None, job), caller.Cause, cancellation)
            : await store.Transact(
                caller.TenantId.Value, caller.Cause,
                async (transaction, token) =>
                {
                    var open = await OpenJobs.Read(transaction, token);
                    return await transaction.Decide<Job, JobEvent>(stream, job => Decide(command, entitlements, open, job), token);
                },
                cancellation);
        if (decided.Refusal is { } refused)
            return refused.ToProblem();

        var view = await JobView.Find(documents, caller.TenantId, command.JobId, cancellation);
        return TypedResults.Created($"/v1/jobs/{command.JobId}", view);
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,63}$")]
    private static partial Regex FlavorName();
}
