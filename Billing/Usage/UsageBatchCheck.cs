using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.Billing.Usage;

/// <summary>Who may report an attempt's use, as the Scheduler placed it.</summary>
public sealed record PlacedAttempt(AttemptId AttemptId, TenantId TenantId, JobId JobId, WorkerId WorkerId);

/// <summary>What Billing knows when a batch arrives.</summary>
/// <param name="Attempt">Null until the placement is known.</param>
/// <param name="WorkerKeys">Every key the worker registered; empty until it did.</param>
/// <param name="PreviousHash">Hash of the batch before, where that is here.</param>
/// <param name="NextPreviousHash">The hash that the batch after names, where that is here.</param>
public sealed record BatchContext(
    PlacedAttempt? Attempt, IReadOnlyCollection<string> WorkerKeys, string? PreviousHash, string? NextPreviousHash, Instant Now);

/// <summary>Decides whether a worker's batch may be charged. Pure.</summary>
public static class UsageBatchCheck
{
    public const string AttemptUnknown = "attempt_unknown";
    public const string WorkerUnknown = "worker_unknown";

    /// <returns>
    /// Null for a batch to charge; else why not. <see cref="AttemptUnknown"/> and <see cref="WorkerUnknown"/> mean that
    /// it came too early: messages of different senders have no order.
    /// </returns>
    public static string? Fault(UsageReported batch, BatchContext context) => (batch, context) switch
    {
        (_, { Attempt: null }) => AttemptUnknown,
        (_, { Attempt: var attempt }) when attempt.TenantId != batch.TenantId => "tenant_mismatch",
        (_, { Attempt: var attempt }) when attempt.WorkerId != batch.WorkerId => "worker_mismatch",
        (_, { Attempt: var attempt }) when attempt.JobId != batch.JobId => "job_mismatch",
        (_, { WorkerKeys.Count: 0 }) => WorkerUnknown,
        _ when !context.WorkerKeys.Any(key => UsageChain.IsSignedBy(batch, key)) => "signature_invalid",
        ({ Sequence: < 1 }, _) => "sequence_invalid",
        ({ Sequence: 1 }, _) when batch.PreviousHash != UsageChain.Start => "link_broken",
        (_, { PreviousHash: { } previous }) when previous != batch.PreviousHash => "link_broken",
        (_, { NextPreviousHash: { } next }) when next != batch.Hash => "link_broken",
        _ when batch.From > batch.To => "interval_invalid",
        _ when batch.To > context.Now + Duration.FromMinutes(5) => "time_in_future",
        ({ Use: var use }, _) when IsNegative(use) => "quantity_negative",
        ({ Use: var use }, _) when !InRange(use.GpuMilliseconds) || !InRange(use.EnergyJoules) => "quantity_out_of_range",
        _ => null,
    };

    private static bool IsNegative(MeteredUse use) =>
        use.GpuMilliseconds < 0 || use.EnergyJoules < 0 || use.Samples < 0 || use.InferenceCalls < 0 || use.BytesRead < 0
        || use.PeakMemoryBytes < 0;

    private static bool InRange(decimal quantity) =>
        quantity < UsageLimits.QuantityMax && Decimals.Canonical(quantity).Scale <= 12;
}
