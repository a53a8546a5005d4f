using System.Text.Json.Serialization;
using NodaTime;

namespace Platform.Contracts.Messages;

/// <summary>What to run. <c>kind</c> on the wire chooses the case; later kinds (evaluate, compress, prepare) join here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(TrainJob), "train")]
[JsonDerivedType(typeof(InferJob), "infer")]
public abstract record JobSpec;

/// <summary>Trains a classifier from scratch and keeps it as an artifact named by the job's id.</summary>
/// <param name="Model">The architecture.</param>
/// <param name="Dataset">A dataset the workers hold: <c>fashion-mnist</c>.</param>
/// <param name="Epochs">Passes over the training set, 1 to 1000.</param>
/// <param name="BatchSize">Samples per optimizer step, 1 to 65536.</param>
/// <param name="LearningRate">Adam's step size, above 0 and at most 1.</param>
/// <param name="Seed">Seeds initial weights and shuffling: the same seed gives the same model on the same device type.</param>
public sealed record TrainJob(
    ModelSpec Model, string Dataset, int Epochs, int BatchSize, decimal LearningRate, long Seed) : JobSpec;

/// <summary>Runs a trained model over the first <paramref name="Samples"/> samples of a dataset's test split.</summary>
/// <param name="TrainedBy">The train job whose model to use; it must be the same tenant's and completed.</param>
/// <param name="Dataset">A dataset the workers hold: <c>fashion-mnist</c>.</param>
/// <param name="Samples">How many samples to classify, 1 to the size of the split.</param>
/// <param name="BatchSize">Samples per inference call; each call is one metered call.</param>
public sealed record InferJob(JobId TrainedBy, string Dataset, int Samples, int BatchSize) : JobSpec;

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MultilayerPerceptron), "multilayer_perceptron")]
public abstract record ModelSpec;

/// <param name="HiddenSizes">Width of each hidden layer, in order; ReLU between layers.</param>
public sealed record MultilayerPerceptron(IReadOnlyList<int> HiddenSizes) : ModelSpec
{
    public bool Equals(MultilayerPerceptron? other) => other is not null && HiddenSizes.SequenceEqual(other.HiddenSizes);
    public override int GetHashCode() => HiddenSizes.Aggregate(17, HashCode.Combine);
}

/// <summary>What an attempt may use on its worker.</summary>
/// <param name="DeviceIndex">The worker's device, as it registered it.</param>
/// <param name="GpuMilli">Thousandths of that device, 1 to 1000.</param>
public sealed record DeviceShare(int DeviceIndex, int GpuMilli);

/// <summary>Published by the Scheduler in the transaction that places an attempt; Billing bills only attempts it knows.</summary>
public sealed record JobPlaced(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId, WorkerSessionId SessionId,
    DeviceShare Device, Instant At);

/// <summary>
/// Sent by the Scheduler to the queue of the worker that holds the placement. A worker starts an attempt only before
/// <paramref name="StartBefore"/>: after it the Scheduler may have given the job to another.
/// </summary>
/// <param name="AttemptNumber">1 for the first attempt of the job.</param>
/// <param name="Checkpoint">The newest checkpoint of earlier attempts, null to start from the beginning.</param>
public sealed record ExecuteJob(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId, WorkerSessionId SessionId, int AttemptNumber,
    JobSpec Spec, DeviceShare Device, Checkpoint? Checkpoint, Instant StartBefore);

/// <summary>Sent to the worker's queue: stop the attempt at the next step; the worker answers with <see cref="JobStopped"/>.</summary>
public sealed record CancelAttempt(JobId JobId, AttemptId AttemptId, TenantId TenantId, Instant At);

/// <summary>Where a stopped job can go on.</summary>
/// <param name="Uri">A file of the artifact store, written whole before it is named.</param>
/// <param name="Step">Finished optimizer steps (train) or samples (infer).</param>
public sealed record Checkpoint(string Uri, long Step);

/// <summary>The worker began the attempt.</summary>
public sealed record JobStarted(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId, Instant At);

/// <summary>How far an attempt is. Lost or repeated progress does no harm.</summary>
/// <param name="Fraction">Done, 0 to 1.</param>
/// <param name="Message">For people: epoch, loss.</param>
/// <param name="Checkpoint">A new checkpoint, when one was written.</param>
public sealed record JobProgressed(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId,
    decimal Fraction, string Message, Checkpoint? Checkpoint, Instant At);

/// <summary>The attempt finished the job.</summary>
/// <param name="ArtifactUri">The model or the predictions; null where there is none.</param>
/// <param name="Metrics">For a train job <c>test_accuracy</c> and <c>train_loss</c>; for an infer job <c>samples</c> and <c>accuracy</c>.</param>
public sealed record JobCompleted(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId,
    string? ArtifactUri, IReadOnlyDictionary<string, decimal> Metrics, Instant At);

/// <summary>The job cannot succeed as it was submitted, or this attempt broke.</summary>
/// <param name="Code">Stable, for programs: <c>dataset.unknown</c>, <c>model.missing</c>, <c>device.out_of_memory</c>, <c>worker.fault</c>.</param>
/// <param name="Reason">For people.</param>
/// <param name="Retryable">True when another attempt may succeed: the fault was the worker's, not the job's.</param>
public sealed record JobFailed(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId,
    string Code, string Reason, bool Retryable, Instant At);

/// <summary>
/// The worker stopped the attempt before its end, because it was cancelled or because the worker is shutting down
/// (<paramref name="HandedBack"/>); nothing runs any more.
/// </summary>
public sealed record JobStopped(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId,
    bool HandedBack, Checkpoint? Checkpoint, Instant At);
