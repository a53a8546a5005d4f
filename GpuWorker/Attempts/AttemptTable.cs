using System.Collections.Concurrent;
using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Bus;

namespace Platform.GpuWorker.Attempts;

/// <summary>
/// The attempts of this process. It accepts each attempt at most once, only of the current session, only before the
/// placement's end, and only while the worker's lease is held: in every other case the Scheduler may have given the job
/// to another worker.
/// </summary>
public sealed partial class AttemptTable(
    AttemptServices services, Lease lease, IHostApplicationLifetime lifetime, ILogger<AttemptTable> logger)
{
    private readonly ConcurrentDictionary<AttemptId, Attempt> running = new();
    private readonly HashSet<AttemptId> seen = [];
    private readonly Lock gate = new();
    private bool closed;

    /// <summary>
    /// What heartbeats name: the attempts whose end the broker does not have yet. One that has ended but waits in the spool
    /// is still in it, so that nobody takes it for lost.
    /// </summary>
    public IReadOnlyList<AttemptId> Running => [.. running.Keys];

    /// <summary>The attempts that have not ended.</summary>
    public IReadOnlyList<AttemptId> Working => [.. running.Where(entry => !entry.Value.Ended.IsCompleted).Select(entry => entry.Key)];

    /// <summary>Starts the attempt, or says in the log why not.</summary>
    public void Accept(ExecuteJob job)
    {
        lock (gate)
        {
            if (Refusal(job) is { } reason)
            {
                Ignored(job.AttemptId.Value, reason);
                return;
            }

            seen.Add(job.AttemptId);
            Accepted(job.AttemptId.Value, job.JobId.Value, job.AttemptNumber);
            var attempt = new Attempt(job, services, logger);
            running[job.AttemptId] = attempt;
            _ = Follow(job.AttemptId, attempt);
            attempt.Start();
        }
    }

    /// <summary>
    /// Cancels a running attempt. One that never started here will not start any more, and is reported as stopped.
    /// </summary>
    public void Cancel(CancelAttempt cancel)
    {
        lock (gate)
        {
            if (running.TryGetValue(cancel.AttemptId, out var attempt))
            {
                attempt.Cancel();
            }
            else if (seen.Add(cancel.AttemptId))
            {
                services.Spool.Add(new JobStopped(
                    cancel.JobId, cancel.AttemptId, cancel.TenantId, services.Identity.WorkerId,
                    HandedBack: false, Checkpoint: null, services.Time.GetUtcNow().ToInstant()));
            }
        }
    }

    /// <returns>How many attempts were asked to stop.</returns>
    public int HandBackAll()
    {
        var attempts = running.Values.Where(attempt => !attempt.Ended.IsCompleted).ToList();
        foreach (var attempt in attempts)
            attempt.HandBack();
        return attempts.Count;
    }

    /// <summary>Takes no more work and completes when every attempt has been handed back.</summary>
    public Task Close()
    {
        lock (gate)
            closed = true;
        HandBackAll();
        return Task.WhenAll(running.Values.Select(attempt => attempt.Ended));
    }

    private string? Refusal(ExecuteJob job)
    {
        if (closed)
            return "the worker is stopping";
        if (seen.Contains(job.AttemptId))
            return "it was delivered before";
        if (job.WorkerId != services.Identity.WorkerId || job.SessionId != services.Identity.SessionId)
            return "it was placed on another session";
        if (services.Time.GetUtcNow().ToInstant() >= job.StartBefore)
            return "its start time has passed";
        if (!lease.IsHeld)
            return "the lease is not held";
        if (job.Device.DeviceIndex < 0 || job.Device.DeviceIndex >= services.Devices.Count || job.Device.GpuMilli is < 1 or > 1000)
            return "there is no such device share";
        return null;
    }

    private async Task Follow(AttemptId id, Attempt attempt)
    {
        try
        {
            await attempt.Ended;
            await services.Spool.Sent(CancellationToken.None);
        }
        catch (Exception error)
        {
            SpoolBroken(error);
            Environment.ExitCode = 1;
            lifetime.StopApplication();
        }
        finally
        {
            running.TryRemove(id, out _);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Attempt {Attempt} of job {Job} (number {Number}) accepted.")]
    private partial void Accepted(Guid attempt, Guid job, int number);

    [LoggerMessage(Level = LogLevel.Information, Message = "Attempt {Attempt} ignored: {Reason}.")]
    private partial void Ignored(Guid attempt, string reason);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The spool cannot be written; the worker stops.")]
    private partial void SpoolBroken(Exception error);
}
