namespace Platform.EventStore;

/// <summary>The callers who wait to append in one lane, and whose turn it is to commit for them.</summary>
internal sealed class LaneQueue
{
    // A batch ends at these: large enough to amortise the commit, small enough to keep the lane's lock short. Row-level
    // security compares each row with the list of tenants, so that list stays short too.
    private const int RowsMax = 5_000;
    private const int TenantsMax = 200;

    private readonly Lock gate = new();
    private List<WaitingWrite> waiting = [];
    private bool led;

    /// <summary>Held while a transaction of this process is at work in the lane.</summary>
    public SemaphoreSlim Turn { get; } = new(1);

    /// <returns>True when the caller leads: nobody else commits now.</returns>
    public bool Enter(WaitingWrite write)
    {
        lock (gate)
        {
            if (led)
            {
                waiting.Add(write);
                return false;
            }
            return led = true;
        }
    }

    /// <returns>True when the caller shall commit; false when somebody committed, or failed to commit, its write.</returns>
    public async Task<bool> WaitToLead(WaitingWrite write, CancellationToken cancellation)
    {
        await using var withdrawal = cancellation.UnsafeRegister(_ => Withdraw(write, cancellation), null);
        return await write.Led;
    }

    /// <summary>
    /// The leader's write and those that wait. A second write to one stream stays for the next batch: it can only be
    /// checked against the first one's outcome.
    /// </summary>
    public IReadOnlyList<WaitingWrite> Gather(WaitingWrite leader)
    {
        lock (gate)
        {
            if (waiting.Count == 0)
                return [leader];

            List<WaitingWrite> batch = [leader], left = [];
            var rows = leader.Write.RowCount;
            HashSet<Guid> tenants = [leader.Write.TenantId];
            HashSet<StreamId> streams = [.. leader.Write.Appends.Select(append => append.Stream)];
            foreach (var next in waiting)
            {
                if (rows + next.Write.RowCount > RowsMax
                    || (tenants.Count == TenantsMax && !tenants.Contains(next.Write.TenantId))
                    || next.Write.Appends.Any(append => streams.Contains(append.Stream)))
                {
                    left.Add(next);
                    continue;
                }
                batch.Add(next);
                rows += next.Write.RowCount;
                tenants.Add(next.Write.TenantId);
                streams.UnionWith(next.Write.Appends.Select(append => append.Stream));
            }
            waiting = left;
            return batch;
        }
    }

    /// <summary>Passes the lead to whoever waits longest, then wakes those whose writes were in the batch.</summary>
    public void Leave(IReadOnlyList<WaitingWrite> batch)
    {
        lock (gate)
        {
            if (waiting.Count == 0)
            {
                led = false;
            }
            else
            {
                waiting[0].Lead();
                waiting.RemoveAt(0);
            }
        }
        foreach (var write in batch)
            write.Wake();
    }

    public static string TenantsOf(PreparedWrite[] writes) =>
        writes.Length == 1
            ? $"{{{writes[0].TenantId}}}"
            : $"{{{string.Join(',', writes.Select(write => write.TenantId).Distinct())}}}";

    private void Withdraw(WaitingWrite write, CancellationToken cancellation)
    {
        lock (gate)
        {
            if (waiting.Remove(write))
                write.Cancel(cancellation);
        }
    }
}

/// <summary>One caller's write on its way.</summary>
internal sealed class WaitingWrite(PreparedWrite write)
{
    private readonly TaskCompletionSource<bool> led = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<LanePosition>? outcome;

    public PreparedWrite Write { get; } = write;
    public Task<bool> Led => led.Task;

    /// <summary>An earlier try may have committed this write: its answer was lost.</summary>
    public bool Uncertain { get; set; }

    public Task<LanePosition> Outcome =>
        outcome ?? Task.FromException<LanePosition>(new InvalidOperationException("The write ended without an outcome."));

    public void Succeed(LanePosition position) => outcome = Task.FromResult(position);
    public void Fail(Exception error) => outcome = Task.FromException<LanePosition>(error);

    public void Lead() => led.TrySetResult(true);
    public void Wake() => led.TrySetResult(false);
    public void Cancel(CancellationToken cancellation) => led.TrySetCanceled(cancellation);
}
