using NodaTime;
using Platform.Contracts.Messages;

namespace Platform.Contracts.Tests;

/// <summary>Messages with dull, fixed values: a test changes what it is about.</summary>
internal static class Samples
{
    public static readonly Instant Noon = Instant.FromUtc(2026, 1, 31, 12, 0);
    public static readonly TenantId Tenant = new(Guid.Parse("0198c0de-0000-7000-8000-000000000001"));
    public static readonly JobId Job = new(Guid.Parse("0198c0de-0000-7000-8000-000000000002"));
    public static readonly AttemptId Attempt = new(Guid.Parse("0198c0de-0000-7000-8000-000000000003"));
    public static readonly WorkerId Worker = new(Guid.Parse("0198c0de-0000-7000-8000-000000000004"));
    public static readonly WorkerSessionId Session = new(Guid.Parse("0198c0de-0000-7000-8000-000000000005"));
    public static readonly ApiKeyId Key = new(Guid.Parse("0198c0de-0000-7000-8000-000000000006"));
    public static readonly InvoiceId Invoice = new(Guid.Parse("0198c0de-0000-7000-8000-000000000007"));
    public static readonly SubscriptionId Subscription = new(Guid.Parse("0198c0de-0000-7000-8000-000000000008"));

    public static readonly TrainJob Train = new(
        new MultilayerPerceptron([128, 64]), "fashion-mnist", Epochs: 3, BatchSize: 64, LearningRate: 0.001m, Seed: 42);

    public static readonly Checkpoint Checkpoint = new("file:///artifacts/checkpoint-120", Step: 120);

    public static UsageReported Usage(long sequence = 1, string? previousHash = null, decimal milliseconds = 1500.250m) => new(
        Job, Attempt, Tenant, Worker, sequence, Noon + Duration.FromSeconds(10 * (sequence - 1)), Noon + Duration.FromSeconds(10 * sequence),
        new(
            "cpu", milliseconds, Samples: 6400, InferenceCalls: 2, EnergyJoules: 97.5m, EnergySource: "model:watts=65", BytesRead: 1024,
            PeakMemoryBytes: 1 << 20),
        previousHash ?? UsageChain.Start, Hash: new('a', 64), Signature: "c2lnbmF0dXJl");

    public static IReadOnlyList<object> Messages { get; } =
    [
        new TenantRegistered(Tenant, "Acme", Currency.EUR, "Europe/Berlin", Noon),
        new TenantSuspended(Tenant, Noon),
        new TenantReinstated(Tenant, Noon),
        new ApiKeyIssued(Key, Tenant, ApiKeyScope.TenantAdmin, new('b', 64), Noon),
        new ApiKeyRevoked(Key, Tenant, Noon),
        new EntitlementsChanged(
            Tenant, Version: 3, ["gpu.nvidia-h200", "pool.reserved"],
            [
                new("gpu.milli", 4000, LimitMode.Soft), new("jobs.concurrent", 8, LimitMode.Hard),
                new("usage", 3600.5m, LimitMode.Hard, "gpu.seconds", Reached: true),
            ],
            Noon),
        new CloseBillingPeriods(Noon),
        new InvoiceFinalized(
            Invoice, Tenant, [Subscription], "2026-000042", new(12_50, Currency.EUR), Noon - Duration.FromDays(31), Noon, Noon),
        new JobPlaced(Job, Attempt, Tenant, Worker, Session, new(DeviceIndex: 0, GpuMilli: 1000), Noon),
        new ExecuteJob(
            Job, Attempt, Tenant, Worker, Session, AttemptNumber: 2, Train, new(DeviceIndex: 0, GpuMilli: 1000), Checkpoint,
            Noon + Duration.FromMinutes(5)),
        new CancelAttempt(Job, Attempt, Tenant, Noon),
        new JobStarted(Job, Attempt, Tenant, Worker, Noon),
        new JobProgressed(Job, Attempt, Tenant, Worker, 0.25m, "epoch 1 of 4, loss 0.512", Checkpoint, Noon),
        new JobCompleted(
            Job, Attempt, Tenant, Worker, "file:///artifacts/model",
            new Dictionary<string, decimal> { ["test_accuracy"] = 0.8712m, ["train_loss"] = 0.31m }, Noon),
        new JobFailed(Job, Attempt, Tenant, Worker, "dataset.unknown", "There is no dataset mnist-3d.", Retryable: false, Noon),
        new JobStopped(Job, Attempt, Tenant, Worker, HandedBack: true, Checkpoint, Noon),
        new UsageReported(
            Job, Attempt, Tenant, Worker, Sequence: 1, Noon, Noon + Duration.FromSeconds(10), Usage().Use, UsageChain.Start,
            new('a', 64), "c2lnbmF0dXJl"),
        new WorkerRegistered(
            Worker, Session, "worker-1", "on-demand", [new Device(0, "cpu", 8L << 30)], "cHVibGljIGtleQ==", Noon),
        new WorkerHeartbeat(Worker, Session, [Attempt], Noon),
        new WorkerDrained(Worker, Session, Noon),
    ];
}
