namespace Platform.GpuWorker.Bus;

/// <summary>
/// The time for which the Scheduler still counts on this worker. It runs from the sending of the last heartbeat that was
/// confirmed (or of the registration that begins it), so the worker always gives up before the Scheduler does.
/// </summary>
public sealed class Lease(TimeSpan timeout, TimeProvider time)
{
    private long confirmed = long.MinValue;

    /// <summary>False before the first confirmed message, and when too long ago.</summary>
    public bool IsHeld =>
        Interlocked.Read(ref confirmed) is var sent && sent != long.MinValue && time.GetElapsedTime(sent) < timeout;

    /// <param name="sentAt">Timestamp of the time provider before the heartbeat was sent.</param>
    public void Confirm(long sentAt) => Interlocked.Exchange(ref confirmed, sentAt);
}
