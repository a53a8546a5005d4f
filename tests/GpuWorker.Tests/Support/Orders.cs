using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.GpuWorker.Tests.Support;

/// <summary>What the Scheduler would send, with dull defaults.</summary>
internal static class Orders
{
    public static readonly TenantId Tenant = new(new Guid("0190b4c0-0000-7000-8000-00000000000a"));

    public static TrainJob Train(
        int epochs = 2, int batchSize = 50, long seed = 7, decimal learningRate = 0.001m, string dataset = "fashion-mnist",
        params int[] hidden) =>
        new(new MultilayerPerceptron(hidden.Length == 0 ? [32] : hidden), dataset, epochs, batchSize, learningRate, seed);

    public static InferJob Infer(JobId trainedBy, int samples = 300, int batchSize = 64, string dataset = "fashion-mnist") =>
        new(trainedBy, dataset, samples, batchSize);

    public static ExecuteJob Attempt(
        WorkerId worker, WorkerSessionId session, JobSpec spec, JobId? job = null, int number = 1,
        Checkpoint? checkpoint = null, TenantId? tenant = null, int gpuMilli = 1000, Instant? startBefore = null) =>
        new(job ?? JobId.New(), AttemptId.New(), tenant ?? Tenant, worker, session, number, spec, new(0, gpuMilli), checkpoint,
            startBefore ?? Now + Duration.FromMinutes(5));

    public static Instant Now => TimeProvider.System.GetUtcNow().ToInstant();
}
