using System.Globalization;
using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Torch;
using Perceptron = Platform.GpuWorker.Torch.MultilayerPerceptron;
using PerceptronSpec = Platform.Contracts.Messages.MultilayerPerceptron;

namespace Platform.GpuWorker.Jobs;

/// <summary>
/// Trains a perceptron by Adam on shuffled batches and measures it on the test split. Everything follows from the seed:
/// initial weights from (seed, layer), the order of the samples from (seed, epoch). A step is one optimizer step; after
/// the last one, steps classify the test split piece by piece.
/// </summary>
public sealed class TrainClassifier(JobContext context, TrainJob spec) : JobRun(context)
{
    public const string ModelName = "model.safetensors";
    internal const string DatasetKey = "dataset", ModelKey = "model";

    private const int TestBatchSize = 1000;
    private const string LossSumName = "loss_sum";

    private LabelledImages trainData = null!;
    private LabelledImages testData = null!;
    private TensorFile? checkpoint;

    private ImageBatches train = null!;
    private ImageBatches test = null!;
    private Perceptron model = null!;
    private Adam optimizer = null!;
    private Tensor lossSum = null!; // of the samples of the running epoch; stays on the device
    private Tensor? order;
    private long orderEpoch = -1;
    private bool started;
    private int tested;
    private long correct;

    public override long StepsDone => started ? optimizer.Steps : 0;

    public override long TensorBytes =>
        train.Bytes + test.Bytes + model.Parameters.Sum(parameter => parameter.Value.Bytes) * 4 + 8L * trainData.Count;

    public override JobProgress Progress
    {
        get
        {
            var epoch = Math.Min(StepsDone / StepsPerEpoch + 1, spec.Epochs);
            var seen = SamplesOfEpoch(StepsDone);
            var loss = seen == 0 ? 0 : lossSum.Item() / seen;
            return new(
                Math.Round((decimal)(StepsDone + tested / TestBatchSize) / (StepsTotal + TestSteps), 4),
                string.Create(CultureInfo.InvariantCulture, $"epoch {epoch} of {spec.Epochs}, step {StepsDone} of {StepsTotal}, loss {loss:0.0000}"));
        }
    }

    private long StepsPerEpoch => (trainData.Count + spec.BatchSize - 1) / spec.BatchSize;

    private long StepsTotal => StepsPerEpoch * spec.Epochs;

    private long TestSteps => (testData.Count + TestBatchSize - 1) / TestBatchSize;

    public override void Prepare()
    {
        Check();
        trainData = Context.Datasets.LoadTrain(spec.Dataset);
        testData = Context.Datasets.LoadTest(spec.Dataset);
        Context.Meter.Read(trainData.BytesRead + testData.BytesRead);
        RequireMemory();
        checkpoint = ReadCheckpoint();
    }

    public override void Start()
    {
        train = new(trainData, Context.Device);
        test = new(testData, Context.Device);
        if (checkpoint is null)
        {
            model = new(trainData.Pixels, Hidden, trainData.Classes, spec.Seed, Context.Device);
            optimizer = new(model.Parameters, (double)spec.LearningRate);
            lossSum = Tensor.Zeros(Context.Device, DType.Float64);
        }
        else
        {
            var steps = long.Parse(checkpoint.Metadata[StepKey], CultureInfo.InvariantCulture);
            model = Perceptron.Load(checkpoint, Context.Device);
            optimizer = new(model.Parameters, (double)spec.LearningRate, steps, checkpoint);
            lossSum = checkpoint.Load(LossSumName, Context.Device);
        }

        checkpoint = null; // its memory is not needed twice
        started = true;
    }

    public override bool Step()
    {
        if (StepsDone < StepsTotal)
            TrainOneBatch();
        else
            TestOneBatch();
        return StepsDone < StepsTotal || tested < testData.Count;
    }

    public override JobResult Finish()
    {
        var trainLoss = lossSum.Item() / trainData.Count;
        if (!double.IsFinite(trainLoss))
            throw new JobFaultException("training.diverged", "The loss is no longer a number; try a smaller learning rate.");

        var job = Context.Job;
        var metadata = new Dictionary<string, string>
        {
            [DatasetKey] = spec.Dataset,
            [ModelKey] = JsonSerializer.Serialize(spec.Model, ContractsJson.Options),
        };
        TensorFile.Of(metadata, model.Parameters).Write(Context.Artifacts.PathToWrite(job.TenantId, job.JobId, ModelName));
        return new(ArtifactStore.UriOf(job.TenantId, job.JobId, ModelName), new Dictionary<string, decimal>
        {
            ["test_accuracy"] = Math.Round((decimal)correct / testData.Count, 6),
            ["train_loss"] = Math.Round((decimal)trainLoss, 6),
        });
    }

    public override void Dispose()
    {
        train?.Dispose();
        test?.Dispose();
        model?.Dispose();
        optimizer?.Dispose();
        lossSum?.Dispose();
        order?.Dispose();
    }

    protected override IEnumerable<NamedTensor> CheckpointTensors =>
        [.. model.Parameters, .. optimizer.State, new(LossSumName, lossSum)];

    private IReadOnlyList<int> Hidden => ((PerceptronSpec)spec.Model).HiddenSizes;

    private void TrainOneBatch()
    {
        var step = StepsDone;
        var start = SamplesOfEpoch(step);
        var count = Math.Min(spec.BatchSize, trainData.Count - start);
        UseOrderOf(epoch: step / StepsPerEpoch);

        using var scope = new TensorScope();
        if (start == 0)
            lossSum.Add(lossSum, factor: -1);
        var (inputs, targets) = train.Select(order!.Narrow(0, start, count));
        optimizer.ZeroGrad();
        var loss = model.Forward(inputs).CrossEntropy(targets);
        loss.Backward();
        optimizer.Step();
        using (NoGrad.Begin())
            lossSum.Add(loss.Detach().To(DType.Float64), factor: count);

        Context.Meter.Trained(count);
    }

    private void TestOneBatch()
    {
        var count = Math.Min(TestBatchSize, testData.Count - tested);
        using var scope = new TensorScope();
        using var noGrad = NoGrad.Begin();
        var (inputs, targets) = test.Range(tested, count);
        correct += (long)model.Forward(inputs).ArgMax(1).EqualTo(targets).Sum().Item();
        tested += count;
    }

    private void UseOrderOf(long epoch)
    {
        if (orderEpoch == epoch)
            return;
        order?.Dispose();
        var permutation = new SeededRandom(spec.Seed, RandomPurpose.Shuffle, epoch).Permutation(trainData.Count);
        order = Tensor.From((ReadOnlySpan<long>)permutation, Context.Device, trainData.Count);
        orderEpoch = epoch;
    }

    // At the end of the last epoch all of its samples are seen, not none of the next.
    private long SamplesOfEpoch(long step) =>
        step == StepsTotal ? trainData.Count : step % StepsPerEpoch * spec.BatchSize;

    private void Check()
    {
        Datasets.Require(spec.Dataset);
        if (spec.Model is not PerceptronSpec { HiddenSizes: { } hidden })
            throw JobFaultException.SpecInvalid($"model: this worker cannot train {spec.Model?.GetType().Name ?? "nothing"}.");
        JobLimits.Require(hidden.Count <= JobLimits.HiddenLayersMax && hidden.All(size => size is >= 1 and <= JobLimits.HiddenSizeMax),
            $"model.hidden_sizes: at most {JobLimits.HiddenLayersMax} layers of 1 to {JobLimits.HiddenSizeMax}.");
        JobLimits.Require(spec.Epochs is >= 1 and <= JobLimits.EpochsMax, $"epochs: 1 to {JobLimits.EpochsMax}.");
        JobLimits.Require(spec.BatchSize is >= 1 and <= JobLimits.BatchSizeMax, $"batch_size: 1 to {JobLimits.BatchSizeMax}.");
        JobLimits.Require(spec.LearningRate is > 0 and <= 1, "learning_rate: above 0 and at most 1.");
    }

    // Linux promises more memory than there is and then kills the process, so a model that cannot fit is refused first.
    private void RequireMemory()
    {
        const int copies = 4; // weights, gradients, two moments
        const int floatBytes = 4;
        int[] widths = [trainData.Pixels, .. Hidden, trainData.Classes];
        var parameters = widths.Zip(widths.Skip(1), (inputs, outputs) => (inputs + 1L) * outputs).Sum();
        var activations = 3L * Math.Max(Math.Min(spec.BatchSize, trainData.Count), TestBatchSize) * widths.Sum(width => (long)width);
        var data = (long)trainData.Images.Length + testData.Images.Length + 16L * trainData.Count;
        var needed = (parameters * copies + activations) * floatBytes + data;
        if (needed > Context.MemoryBytesMax)
        {
            throw JobFaultException.OutOfMemory(
                $"The job needs about {needed >> 20} MiB, its share of the device has {Context.MemoryBytesMax >> 20} MiB.");
        }
    }
}

/// <summary>What a spec may ask of a worker; the contract's docs say the same.</summary>
internal static class JobLimits
{
    public const int EpochsMax = 1000, BatchSizeMax = 65_536, HiddenLayersMax = 16, HiddenSizeMax = 16_384;

    public static void Require(bool holds, string otherwise)
    {
        if (!holds)
            throw JobFaultException.SpecInvalid(otherwise);
    }
}
