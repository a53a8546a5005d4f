using MassTransit;
using NodaTime.Extensions;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Attempts;
using Platform.GpuWorker.Metering;

namespace Platform.GpuWorker.Bus;

/// <summary>
/// Tells the Scheduler that this worker is there: registers when the process starts and when the bus was lost and found
/// again, then sends heartbeats. A worker whose heartbeats are not confirmed for its lease hands its attempts back by
/// itself, because the Scheduler may be placing them elsewhere.
/// </summary>
public sealed partial class Membership(
    WorkerSettings settings, WorkerIdentity identity, IReadOnlyList<Device> devices, AttemptTable attempts, Spool spool,
    Lease lease, IBusControl bus, TimeProvider time, ILogger<Membership> logger) : BackgroundService
{
    private static readonly TimeSpan leaseCheckInterval = TimeSpan.FromMilliseconds(250);
    private volatile bool registered;

    /// <summary>The worker is known to the Scheduler and can be given work.</summary>
    public bool IsReady => registered && lease.IsHeld;

    /// <summary>After the heartbeats have ended, so that none contradicts it.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (registered)
            await TryPublish(new WorkerDrained(identity.WorkerId, identity.SessionId, Now), CancellationToken.None);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(Announce(stoppingToken), WatchLease(stoppingToken));

    private async Task Announce(CancellationToken stopping)
    {
        bus.ConnectReceiveEndpointObserver(new Reconnects(() => registered = false));
        // The queue must exist before the Scheduler may send to it.
        await bus.WaitForHealthStatus(BusHealthStatus.Healthy, stopping);
        while (!stopping.IsCancellationRequested)
        {
            var sentAt = time.GetTimestamp();
            if (!registered)
                BeginLease(sentAt);
            if (registered ? await Heartbeat(stopping) : await Register(stopping))
                lease.Confirm(sentAt);
            else
                registered = false;
            await Task.Delay(settings.HeartbeatInterval, time, stopping);
        }
    }

    // A job placed on this session proves that the registration arrived, and it can come before the confirmation does. So
    // the lease begins with the sending; whatever ran under an earlier lease is given up first.
    private void BeginLease(long sentAt)
    {
        if (lease.IsHeld)
            return;
        HandBack();
        lease.Confirm(sentAt);
    }

    private void HandBack()
    {
        if (attempts.HandBackAll() is > 0 and var stopped)
            LeaseLost(settings.LeaseTimeout, stopped);
    }

    private async Task<bool> Register(CancellationToken stopping)
    {
        // What earlier attempts used comes before a new session, which ends them.
        await spool.Sent(stopping);
        registered = true; // before the call: a connection that breaks during it asks for another registration
        var registration = new WorkerRegistered(
            identity.WorkerId, identity.SessionId, settings.Name, settings.Pool, devices, identity.PublicKey, Now);
        if (!await TryPublish(registration, stopping))
            return false;

        Registered(identity.WorkerId.Value, identity.SessionId.Value, settings.Pool);
        return true;
    }

    private Task<bool> Heartbeat(CancellationToken stopping) => TryPublish(
        new WorkerHeartbeat(identity.WorkerId, identity.SessionId, attempts.Running, Now), stopping);

    private async Task WatchLease(CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            if (!lease.IsHeld)
                HandBack();
            await Task.Delay(leaseCheckInterval, time, stopping);
        }
    }

    private async Task<bool> TryPublish<T>(T message, CancellationToken stopping) where T : class
    {
        try
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            timeout.CancelAfter(settings.LeaseTimeout / 2);
            await bus.Publish(message, timeout.Token).WaitAsync(timeout.Token);
            return true;
        }
        catch (Exception error) when (!stopping.IsCancellationRequested)
        {
            NotConfirmed(typeof(T).Name, error.GetType().Name);
            return false;
        }
    }

    private NodaTime.Instant Now => time.GetUtcNow().ToInstant();

    [LoggerMessage(Level = LogLevel.Information, Message = "Worker {Worker} registered session {Session} in pool {Pool}.")]
    private partial void Registered(Guid worker, Guid session, string pool);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Type} was not confirmed ({Error}).")]
    private partial void NotConfirmed(string type, string error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No heartbeat was confirmed for {Timeout}; {Count} attempts are handed back.")]
    private partial void LeaseLost(TimeSpan timeout, int count);

    private sealed class Reconnects(Action found) : IReceiveEndpointObserver
    {
        public Task Ready(ReceiveEndpointReady ready)
        {
            found();
            return Task.CompletedTask;
        }

        public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;
        public Task Completed(ReceiveEndpointCompleted completed) => Task.CompletedTask;
        public Task Faulted(ReceiveEndpointFaulted faulted) => Task.CompletedTask;
    }
}

/// <summary>
/// Stops before everything else when the process is asked to end: attempts are handed back, and what they metered is
/// sent while there is still a bus. What is not sent in time stays in the spool for the next start.
/// </summary>
public sealed partial class GracefulStop(
    AttemptTable attempts, Spool spool, TimeProvider time, ILogger<GracefulStop> logger) : IHostedService
{
    private static readonly TimeSpan attemptsTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan flushTimeout = TimeSpan.FromSeconds(5);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        try
        {
            await attempts.Close().WaitAsync(attemptsTimeout, time, cancellationToken);
            using var flush = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            flush.CancelAfter(flushTimeout);
            await spool.Sent(flush.Token);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            Unfinished(attempts.Working.Count, spool.Count);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Stopped with {Attempts} attempts unfinished and {Messages} messages not sent; they stay in the spool.")]
    private partial void Unfinished(int attempts, int messages);
}
