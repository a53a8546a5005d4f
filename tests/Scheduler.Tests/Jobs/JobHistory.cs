using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Scheduler.Jobs;

namespace Platform.Scheduler.Tests.Jobs;

/// <summary>Events and messages that happened, with dull defaults: a test names only what it is about.</summary>
internal static class JobHistory
{
    public static readonly Instant Noon = Instant.FromUtc(2026, 1, 31, 12, 0);
    public static readonly TenantId Tenant = new(Guid.Parse("0198c0de-0000-7000-8000-000000000001"));
    public static readonly JobId Id = new(Guid.Parse("0198c0de-0000-7000-8000-000000000002"));
    public static readonly WorkerId Worker = new(Guid.Parse("0198c0de-0000-7000-8000-000000000003"));
    public static readonly WorkerSessionId Session = new(Guid.Parse("0198c0de-0000-7000-8000-000000000004"));
    public static readonly AttemptId First = new(Guid.Parse("0198c0de-0000-7000-8000-000000000011"));
    public static readonly AttemptId Second = new(Guid.Parse("0198c0de-0000-7000-8000-000000000012"));

    public static TrainJob Train(
        string dataset = "fashion-mnist", int epochs = 2, int batchSize = 64, decimal learningRate = 0.001m,
        params int[] hiddenSizes) =>
        new(new MultilayerPerceptron(hiddenSizes is [] ? [128] : hiddenSizes), dataset, epochs, batchSize, learningRate, Seed: 7);

    public static InferJob Infer(int samples = 100, int batchSize = 50) => new(Id, "fashion-mnist", samples, batchSize);

    public static JobEvent.Submitted Submitted(int attemptsMax = 5, JobSpec? spec = null) =>
        new(Id, Tenant, spec ?? Train(), new JobShape("on-demand", Flavor: null, GpuMilli: 500), attemptsMax, Noon);

    public static JobEvent.Placed Placed(AttemptId? attempt = null, int number = 1) => new(
        attempt ?? First, number, Worker, Session, "on-demand", new DeviceShare(DeviceIndex: 0, GpuMilli: 500),
        Noon + Duration.FromSeconds(30), Noon);

    public static JobEvent.Started Started(AttemptId? attempt = null) => new(attempt ?? First, Noon);

    public static JobEvent.Checkpointed Checkpointed(long step) => new(First, At(step), Noon);

    public static JobEvent.AttemptEnded Lost(AttemptId? attempt = null) =>
        new(attempt ?? First, AttemptOutcome.Lost, Checkpoint: null, "gone", Noon);

    public static JobEvent.CancelRequested CancelRequested() => new(First, Noon);

    public static JobEvent.Completed Completed(AttemptId? attempt = null) =>
        new(attempt ?? First, "file:///models/1", new Dictionary<string, decimal> { ["test_accuracy"] = 0.875m }, Noon);

    public static Checkpoint At(long step) => new($"file:///checkpoints/{step}", step);
}
