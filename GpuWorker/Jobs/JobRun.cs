using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Metering;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Jobs;

/// <summary>What a job run may use.</summary>
/// <param name="MemoryBytesMax">The attempt's share of the device's memory.</param>
public sealed record JobContext(
    ExecuteJob Job, ArtifactStore Artifacts, Datasets Datasets, TorchDevice Device, long MemoryBytesMax, AttemptMeter Meter);

/// <param name="ArtifactUri">What the job made.</param>
public sealed record JobResult(string ArtifactUri, IReadOnlyDictionary<string, decimal> Metrics);

/// <param name="Fraction">Done, 0 to 1.</param>
public sealed record JobProgress(decimal Fraction, string Message);

/// <summary>
/// One attempt's work, cut into steps short enough that attempts can take turns on one device. <see cref="Prepare"/> runs
/// anywhere; everything after it runs on the torch thread. It ends by a <see cref="JobFaultException"/> where the job
/// itself is wrong.
/// </summary>
public abstract class JobRun(JobContext context) : IDisposable
{
    protected const string StepKey = "step", SpecKey = "spec";

    protected JobContext Context { get; } = context;

    /// <summary>The work that a spec asks for.</summary>
    public static JobRun Of(JobContext context) => context.Job.Spec switch
    {
        TrainJob train => new TrainClassifier(context, train),
        InferJob infer => new InferClassifier(context, infer),
        var other => throw JobFaultException.SpecInvalid($"This worker cannot run {other.GetType().Name}."),
    };

    /// <summary>Checks the spec and reads files into host memory.</summary>
    public abstract void Prepare();

    /// <summary>Moves what was read to the device.</summary>
    public abstract void Start();

    /// <summary>Does one step; false when nothing is left to do.</summary>
    public abstract bool Step();

    /// <summary>How far the run is; waits for the device.</summary>
    public abstract JobProgress Progress { get; }

    /// <summary>Finished optimizer steps (train) or samples (infer).</summary>
    public abstract long StepsDone { get; }

    /// <summary>Tensors that the run holds for its whole time.</summary>
    public abstract long TensorBytes { get; }

    /// <summary>Writes the result after the last step.</summary>
    public abstract JobResult Finish();

    /// <summary>Writes where the run stands. An attempt has one file, replaced whole each time.</summary>
    public Checkpoint SaveCheckpoint()
    {
        var job = Context.Job;
        var metadata = new Dictionary<string, string>
        {
            [StepKey] = $"{StepsDone}",
            [SpecKey] = SpecJson,
        };
        TensorFile.Of(metadata, CheckpointTensors).Write(
            Context.Artifacts.PathToWrite(job.TenantId, job.JobId, CheckpointName));
        return new(ArtifactStore.UriOf(job.TenantId, job.JobId, CheckpointName), StepsDone);
    }

    /// <summary>Removes the checkpoints of all attempts: the job is finished.</summary>
    public void DeleteCheckpoints()
    {
        var job = Context.Job;
        var folder = Path.GetDirectoryName(Context.Artifacts.PathToWrite(job.TenantId, job.JobId, CheckpointName))!;
        foreach (var checkpoint in Directory.GetFiles(folder, "checkpoint-*.safetensors"))
            File.Delete(checkpoint);
    }

    public abstract void Dispose();

    protected abstract IEnumerable<NamedTensor> CheckpointTensors { get; }

    /// <summary>
    /// The checkpoint to go on from, null to begin anew. A lost or broken file costs the work again, but not the job.
    /// </summary>
    protected TensorFile? ReadCheckpoint()
    {
        if (Context.Job.Checkpoint is not { } checkpoint)
            return null;

        try
        {
            var path = Context.Artifacts.PathOf(Context.Job.TenantId, checkpoint.Uri);
            var file = TensorFile.Read(path);
            if (file.Metadata.GetValueOrDefault(SpecKey) != SpecJson)
                throw JobFaultException.SpecInvalid("The checkpoint was written for another job.");

            Context.Meter.Read(new FileInfo(path).Length);
            return file;
        }
        catch (UnauthorizedAccessException)
        {
            throw JobFaultException.SpecInvalid("The checkpoint is not one of this tenant's.");
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            return null;
        }
    }

    private string SpecJson => JsonSerializer.Serialize(Context.Job.Spec, ContractsJson.Options);

    private string CheckpointName => $"checkpoint-{Context.Job.AttemptId}.safetensors";
}
