using System.Security.Cryptography;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.Billing.Tests.Http;

/// <summary>A worker that registered, was placed an attempt on and signs batches of its use.</summary>
public sealed class WorkerUsage : IDisposable
{
    private readonly ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly Instant start;
    private UsageReported? last;

    public WorkerUsage(TenantId tenant, Instant start)
    {
        this.start = start;
        Registered = new(
            WorkerId.New(), WorkerSessionId.New(), "worker", "on-demand", [new(0, "cpu", 1 << 30)],
            Convert.ToBase64String(key.ExportSubjectPublicKeyInfo()), start);
        Placed = new(
            JobId.New(), AttemptId.New(), tenant, Registered.WorkerId, Registered.SessionId, new(DeviceIndex: 0, GpuMilli: 1000),
            start);
    }

    public WorkerRegistered Registered { get; }

    public JobPlaced Placed { get; }

    public void Dispose() => key.Dispose();

    /// <summary>The next batch of the attempt: ten seconds of work.</summary>
    public UsageReported Next(decimal milliseconds = 10_000, long calls = 0)
    {
        var sequence = (last?.Sequence ?? 0) + 1;
        last = Sign(new(
            Placed.JobId, Placed.AttemptId, Placed.TenantId, Registered.WorkerId, sequence,
            start + Duration.FromSeconds(10 * (sequence - 1)), start + Duration.FromSeconds(10 * sequence),
            new("cpu", milliseconds, Samples: 100 * calls, calls, EnergyJoules: 650.5m, "model:watts=65", BytesRead: 0, PeakMemoryBytes: 1024),
            last?.Hash ?? UsageChain.Start, Hash: "", Signature: ""));
        return last;
    }

    public UsageReported Sign(UsageReported batch) => UsageChain.Sign(batch, key);
}
