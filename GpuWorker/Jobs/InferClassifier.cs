using System.Globalization;
using System.Text;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Torch;
using Perceptron = Platform.GpuWorker.Torch.MultilayerPerceptron;

namespace Platform.GpuWorker.Jobs;

/// <summary>
/// Classifies the first samples of a test split by a model that the same tenant trained. A step is one forward call of
/// a batch, and one metered inference call.
/// </summary>
public sealed class InferClassifier(JobContext context, InferJob spec) : JobRun(context)
{
    public const string PredictionsName = "predictions.csv";
    private const string PredictedName = "predicted";

    private LabelledImages data = null!;
    private TensorFile modelFile = null!;
    private ImageBatches? images;
    private Perceptron? model;
    private long[] predicted = [];
    private int done;

    public override long StepsDone => done;

    public override long TensorBytes => images!.Bytes + model!.Parameters.Sum(parameter => parameter.Value.Bytes);

    public override JobProgress Progress => new(
        Math.Round((decimal)done / spec.Samples, 4),
        string.Create(CultureInfo.InvariantCulture, $"{done} of {spec.Samples} samples"));

    public override void Prepare()
    {
        Datasets.Require(spec.Dataset);
        JobLimits.Require(spec.BatchSize is >= 1 and <= JobLimits.BatchSizeMax, $"batch_size: 1 to {JobLimits.BatchSizeMax}.");
        JobLimits.Require(spec.Samples >= 1, "samples: at least 1.");

        modelFile = ReadModel();
        data = Context.Datasets.LoadTest(spec.Dataset);
        Context.Meter.Read(data.BytesRead);
        JobLimits.Require(spec.Samples <= data.Count, $"samples: at most {data.Count}, the size of the test split.");

        predicted = new long[spec.Samples];
        if (ReadCheckpoint() is { } checkpoint && checkpoint.Tensors.GetValueOrDefault(PredictedName) is { } earlier)
        {
            done = (int)earlier.Shape[0];
            Buffer.BlockCopy(earlier.Data, 0, predicted, 0, earlier.Data.Length);
        }
    }

    public override void Start()
    {
        images = new(data, Context.Device);
        try
        {
            model = Perceptron.Load(modelFile, Context.Device);
        }
        catch (InvalidDataException error)
        {
            throw new JobFaultException("model.missing", "The model's file is incomplete.", retryable: false, error);
        }
    }

    public override bool Step()
    {
        if (done == spec.Samples)
            return false; // the attempt before this one was stopped after its last batch

        var count = Math.Min(spec.BatchSize, spec.Samples - done);
        using var scope = new TensorScope();
        using var noGrad = NoGrad.Begin();
        var (inputs, _) = images!.Range(done, count);
        model!.Forward(inputs).ArgMax(1).ToArray<long>().CopyTo(predicted, done);
        done += count;
        Context.Meter.Inferred(count);
        return done < spec.Samples;
    }

    public override JobResult Finish()
    {
        var text = new StringBuilder("sample,label,predicted\n");
        var correct = 0;
        for (var i = 0; i < spec.Samples; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{i},{data.Labels[i]},{predicted[i]}\n");
            if (data.Labels[i] == predicted[i])
                correct++;
        }

        var job = Context.Job;
        Durable.Write(
            Context.Artifacts.PathToWrite(job.TenantId, job.JobId, PredictionsName),
            stream => stream.Write(Encoding.UTF8.GetBytes(text.ToString())));
        return new(ArtifactStore.UriOf(job.TenantId, job.JobId, PredictionsName), new Dictionary<string, decimal>
        {
            ["samples"] = spec.Samples,
            ["accuracy"] = Math.Round((decimal)correct / spec.Samples, 6),
        });
    }

    public override void Dispose()
    {
        images?.Dispose();
        model?.Dispose();
    }

    protected override IEnumerable<NamedTensor> CheckpointTensors
    {
        get
        {
            using var values = Tensor.From((ReadOnlySpan<long>)predicted.AsSpan(0, done), TorchDevice.Cpu, done);
            yield return new(PredictedName, values);
        }
    }

    // The path is made from this job's tenant, so another tenant's model is simply not there.
    private TensorFile ReadModel()
    {
        var tenant = Context.Job.TenantId;
        var path = Context.Artifacts.PathOf(
            tenant, ArtifactStore.UriOf(tenant, spec.TrainedBy, TrainClassifier.ModelName));
        try
        {
            var file = TensorFile.Read(path);
            Context.Meter.Read(new FileInfo(path).Length);
            return file.Metadata.GetValueOrDefault(TrainClassifier.DatasetKey) == spec.Dataset
                ? file
                : throw JobFaultException.SpecInvalid("dataset: the model was trained on another one.");
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or InvalidDataException)
        {
            throw JobFaultException.ModelMissing($"Job {spec.TrainedBy} left no model.");
        }
    }
}
