using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.GpuWorker.Metering;

/// <summary>Makes the signed chain of one attempt's usage: batch 1 names 64 zeros, each later one the hash before it.</summary>
public sealed class UsageBatches(ExecuteJob job, WorkerIdentity identity, Instant from)
{
    private string previousHash = UsageChain.Start;
    private long sequence;
    private Instant from = from;

    /// <summary>The next batch: what was used up to <paramref name="to"/>.</summary>
    public UsageReported Next(MeteredUse use, Instant to)
    {
        // A clock that was set back must not make an interval that ends before it starts.
        var end = Instant.Max(from, to);
        var batch = identity.Sign(new(
            job.JobId, job.AttemptId, job.TenantId, identity.WorkerId, sequence + 1,
            from, end, use, previousHash, Hash: "", Signature: ""));
        sequence++;
        previousHash = batch.Hash;
        from = end;
        return batch;
    }
}
