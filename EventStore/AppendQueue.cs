namespace Platform.EventStore;

/// <summary>
/// The callers of this process who wait to append, and the lanes that are in somebody's hands. There is no timer and no
/// writer thread: the first caller commits at once, and the first of those who came meanwhile commits for them all.
/// </summary>
internal sealed class AppendQueue(int lanes)
{
    // While so many commits are under way, new writes gather: more at once are only smaller. Those that wait for a lane that
    // another process holds do not count.
    private const int CommitsAtOnce = 1;

    // A batch ends at these: large enough to amortise the commit, small enough to keep the lanes' locks short. Row-level
    // security compares each row with the list of tenants, so that list stays short too.
    private const int RowsMax = 5_000;
    private const int TenantsMax = 200;

    private readonly Lock gate = new();
    private readonly LaneUse[] uses = new LaneUse[lanes];
    private readonly Queue<Turn>[] transactions = [.. Enumerable.Range(0, lanes).Select(_ => new Queue<Turn>())];
    private List<WaitingWrite> waiting = [];
    private int commits;

    /// <returns>The batch to commit, when it is the caller who shall; else somebody will see to the caller's write.</returns>
    public Batch? Enter(WaitingWrite write)
    {
        lock (gate)
        {
            waiting.Add(write);
            var batch = Gather();
            if (batch is null || batch.Writes.Contains(write))
                return batch;
            batch.Writes[0].Lead(batch);
            return null;
        }
    }

    /// <summary>Takes the write back if nobody has begun to commit it.</summary>
    public void Withdraw(WaitingWrite write, CancellationToken cancellation)
    {
        lock (gate)
        {
            if (waiting.Remove(write))
                write.Cancel(cancellation);
        }
    }

    /// <summary>Ends a commit: frees its lanes, passes the lead on, and wakes the callers.</summary>
    public void Leave(Batch batch)
    {
        lock (gate)
        {
            if (batch.CountsAsCommit)
                commits--;
            foreach (var lane in batch.Lanes)
            {
                uses[lane] = default;
                PassOn(lane);
            }

            LeadNext();
        }
        foreach (var write in batch.Writes)
            write.Wake();
    }

    /// <summary>
    /// Splits a batch that could not have its lanes at once: each part waits for its own lane, led by one of its callers, and
    /// the others commit on. The first part is the caller's to lead.
    /// </summary>
    public Batch Split(Batch batch, WaitingWrite leader)
    {
        var parts = batch.Writes.GroupBy(write => write.Lane)
            .Select(lane => new Batch([lane.Key], [.. lane], CountsAsCommit: false)).ToList();
        lock (gate)
        {
            if (batch.CountsAsCommit)
                commits--;
            LeadNext();
        }
        foreach (var part in parts.Where(part => part.Lanes[0] != leader.Lane))
            part.Writes[0].Lead(part);
        return parts.Single(part => part.Lanes[0] == leader.Lane);
    }

    /// <summary>
    /// The process's turn at a lane for a transaction, so that at most one of its connections waits for the lane's lock.
    /// Appends and transactions take turns.
    /// </summary>
    /// <param name="shared">With others who share it, as long as nobody waits who wants it alone.</param>
    public async Task TakeLane(short lane, bool shared, CancellationToken cancellation)
    {
        Turn turn;
        lock (gate)
        {
            var nobodyWaits = transactions[lane].Count == 0 && !waiting.Exists(write => write.Lane == lane);
            if (uses[lane].IsFree || (shared && uses[lane].IsShared && nobodyWaits))
            {
                Take(lane, shared);
                return;
            }

            turn = new(shared, new(TaskCreationOptions.RunContinuationsAsynchronously));
            transactions[lane].Enqueue(turn);
        }
        await using var withdrawal = cancellation.UnsafeRegister(_ => turn.Came.TrySetCanceled(cancellation), null);
        await turn.Came.Task;
    }

    public void ReleaseLane(short lane)
    {
        lock (gate)
        {
            uses[lane] = uses[lane].IsShared ? new(uses[lane].Sharers - 1, IsAlone: false) : default;
            if (!uses[lane].IsFree)
                return;
            LeadNext();
            PassOn(lane);
        }
    }

    private void Take(short lane, bool shared) =>
        uses[lane] = shared ? new(uses[lane].Sharers + 1, IsAlone: false) : new(Sharers: 0, IsAlone: true);

    // To whoever is next, and where that one shares it, to all who do and come right after.
    private void PassOn(short lane)
    {
        while (transactions[lane].TryPeek(out var next) && (uses[lane].IsFree || (next.Shared && uses[lane].IsShared)))
        {
            transactions[lane].Dequeue();
            if (next.Came.TrySetResult())
                Take(lane, next.Shared);
        }
    }

    private void LeadNext()
    {
        while (Gather() is { } batch)
            batch.Writes[0].Lead(batch);
    }

    /// <summary>
    /// Those that wait and whose lanes are free. A second write to one stream stays for a later batch: it can only be
    /// checked against the first one's outcome.
    /// </summary>
    private Batch? Gather()
    {
        if (waiting.Count == 0 || commits == CommitsAtOnce)
            return null;

        List<WaitingWrite> batch = [], left = [];
        HashSet<Guid> tenants = [];
        HashSet<StreamId> streams = [];
        SortedSet<short> lanes = [];
        var rows = 0;
        foreach (var next in waiting)
        {
            if (!uses[next.Lane].IsFree
                || (batch.Count > 0 && rows + next.RowCount > RowsMax)
                || (tenants.Count == TenantsMax && !tenants.Contains(next.Write.TenantId))
                || next.Write.Appends.Any(append => streams.Contains(append.Stream)))
            {
                left.Add(next);
                continue;
            }
            batch.Add(next);
            rows += next.RowCount;
            lanes.Add(next.Lane);
            tenants.Add(next.Write.TenantId);
            foreach (var append in next.Write.Appends)
                streams.Add(append.Stream);
        }
        if (batch.Count == 0)
            return null;

        waiting = left;
        commits++;
        foreach (var lane in lanes)
            Take(lane, shared: false);
        return new([.. lanes], batch, CountsAsCommit: true);
    }

    private readonly record struct LaneUse(int Sharers, bool IsAlone)
    {
        public bool IsFree => Sharers == 0 && !IsAlone;
        public bool IsShared => Sharers > 0;
    }

    private sealed record Turn(bool Shared, TaskCompletionSource Came);
}

/// <summary>Writes that one commit takes.</summary>
/// <param name="Lanes">Their lanes, ascending.</param>
/// <param name="CountsAsCommit">False for a part that waits for its lane while others commit.</param>
internal sealed record Batch(short[] Lanes, IReadOnlyList<WaitingWrite> Writes, bool CountsAsCommit);

/// <summary>One caller's write on its way.</summary>
internal sealed class WaitingWrite(PreparedWrite write, short lane)
{
    private readonly TaskCompletionSource<Batch?> led = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<LanePosition>? outcome;

    public PreparedWrite Write { get; } = write;
    public short Lane { get; } = lane;
    public int RowCount { get; } = write.RowCount;

    /// <summary>An earlier try may have committed this write: its answer was lost.</summary>
    public bool Uncertain { get; set; }

    /// <summary>A batch that the caller shall commit, or null once somebody did, or failed to.</summary>
    public Task<Batch?> Led => led.Task;

    public Task<LanePosition> Outcome =>
        outcome ?? Task.FromException<LanePosition>(new InvalidOperationException("The write ended without an outcome."));

    public void Succeed(LanePosition position) => outcome = Task.FromResult(position);
    public void Fail(Exception error) => outcome = Task.FromException<LanePosition>(error);

    public void Lead(Batch batch) => led.TrySetResult(batch);
    public void Wake() => led.TrySetResult(null);
    public void Cancel(CancellationToken cancellation) => led.TrySetCanceled(cancellation);
}
