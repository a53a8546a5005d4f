using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Attempts;
using Platform.GpuWorker.Bus;
using Platform.GpuWorker.Jobs;
using Platform.GpuWorker.Metering;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Tests.Support;

/// <summary>
/// Everything of a worker but the broker: attempts run on a real torch thread, and what they say is read from the spool.
/// </summary>
internal sealed class AttemptBench : IDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly TemporaryFolder folder = new();
    private readonly WorkerIdentity identity;
    private readonly TorchThread torch;
    private readonly Spool spool;

    /// <param name="train">Images of the train split; 0 for no dataset at all.</param>
    public AttemptBench(int train = 1000, int test = 500, long checkpointSteps = 0, long memoryBytes = 1L << 40)
    {
        if (train > 0)
            SmallFashion.Create(folder["datasets"], train, test);
        var settings = new WorkerSettings
        {
            BusUri = new("amqp://nowhere"),
            Name = "bench",
            DataDirectory = folder["worker"],
            ArtifactsRoot = folder["artifacts"],
            CheckpointSteps = checkpointSteps,
            MeteringInterval = TimeSpan.FromMilliseconds(50),
        };
        identity = WorkerIdentity.Open(settings.DataDirectory);
        torch = new(cpuThreads: 1);
        spool = new(folder["spool"], TimeProvider.System);
        Lease = new(TimeSpan.FromHours(1), TimeProvider.System);
        Lease.Confirm(TimeProvider.System.GetTimestamp());
        Artifacts = new(settings.ArtifactsRoot);
        Table = new(
            new(settings, identity, [new(0, WorkerDevices.CpuFlavor, memoryBytes)], new ModelEnergy(watts: 20), torch, spool,
                Artifacts, new(folder["datasets"]), TimeProvider.System),
            Lease, new ApplicationLifetime(NullLogger<ApplicationLifetime>.Instance), NullLogger<AttemptTable>.Instance);
    }

    public AttemptTable Table { get; }

    public Lease Lease { get; }

    public ArtifactStore Artifacts { get; }

    public WorkerId WorkerId => identity.WorkerId;

    public WorkerSessionId SessionId => identity.SessionId;

    public string PublicKey => identity.PublicKey;

    /// <summary>Everything said so far, oldest first.</summary>
    public IReadOnlyList<object> Said =>
    [
        .. Directory.GetFiles(folder["spool"], "*.json").Order()
            .Select((path, i) => Spool.Read(new(i, Guid.Empty, path))),
    ];

    public ExecuteJob Order(
        JobSpec spec, JobId? job = null, int number = 1, Checkpoint? checkpoint = null, TenantId? tenant = null, int gpuMilli = 1000) =>
        Orders.Attempt(WorkerId, SessionId, spec, job, number, checkpoint, tenant, gpuMilli);

    /// <summary>Runs an attempt to its end, and hands back what it said.</summary>
    public async Task<IReadOnlyList<object>> Run(ExecuteJob job)
    {
        Table.Accept(job);
        await Ended(job);
        return Of(job.AttemptId);
    }

    public async Task<JobCompleted> Complete(ExecuteJob job) => (await Run(job))[^1].ShouldBeOfType<JobCompleted>();

    public async Task<JobFailed> Fail(ExecuteJob job) => (await Run(job))[^1].ShouldBeOfType<JobFailed>();

    public async Task Ended(ExecuteJob job) => await Until(() => !Table.Working.Contains(job.AttemptId));

    /// <summary>Waits until an attempt has said such a thing.</summary>
    public async Task<T> Hears<T>(ExecuteJob job, Func<T, bool>? condition = null)
    {
        T[] heard = [];
        await Until(() => (heard = [.. Of(job.AttemptId).OfType<T>().Where(condition ?? (_ => true))]).Length > 0);
        return heard[0];
    }

    public IReadOnlyList<object> Of(AttemptId attempt) =>
        [.. Said.Where(message => (AttemptId)message.GetType().GetProperty("AttemptId")!.GetValue(message)! == attempt)];

    public byte[] Artifact(string? uri) => File.ReadAllBytes(Artifacts.PathOf(Orders.Tenant, uri!));

    public void Dispose()
    {
        Table.Close().Wait(patience);
        torch.Dispose();
        identity.Dispose();
        folder.Dispose();
    }

    private static async Task Until(Func<bool> condition)
    {
        var start = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(patience);
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}

/// <summary>
/// Tests that use libtorch in this process run one after another: they count the process's live handles, and share its
/// two cores.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = false)]
public sealed class TorchTests
{
    public const string Name = "torch";
}
