using Npgsql;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Group commit: deliveries of many callers, of one or several tenants, share a transaction. Nobody waits for more: what comes alone
/// is committed at once, and what comes meanwhile is committed together. Each caller gets its own answer, and a delivery that
/// cannot be stored spoils no other. No two commits lock each other out: those of what is small have lanes of their own, and what is large
/// is a commit of its tenant's alone, beside others of its lane.
/// What is small is committed by shares of all lanes: few events are one commit of all shares, which costs the least, and do not begin
/// beside another; more are one of each, which keeps all processors busy.
/// </summary>
public sealed class UsageIntake(EventStore.EventStore store, TimeProvider clock)
{
    // So many events at most are one commit of all shares: two small ones cost more.
    private const int Few = 128;

    // Beside another commit of what is small, fewer wait for its end: a small one and a large one by turns cost more than two alike.
    private const int BesideMin = Few / 2;

    // Enough to amortise the commit, few enough to keep the lanes' locks short; row-level security compares with each tenant.
    private const int EventsMax = 5_000;
    private const int TenantsMax = 200;

    // A caller costs little until it waits again: so many are answered on one thread.
    private const int AnswersAtOnce = 16;
    private static readonly TimeSpan AnswersWithin = TimeSpan.FromMilliseconds(5);

    private static readonly int Shares = Math.Clamp(Environment.ProcessorCount, 2, 4);

    // So many large ones at once: each waits for the database and the disk by turns.
    private static readonly int LargeMax = 2 * Shares;

    private readonly Lock gate = new();
    private readonly HashSet<int> lanes = [];
    private readonly List<Waiting> large = [];
    private readonly HashSet<int> shares = [];
    private List<Waiting> waiting = [];
    private bool gathers;

    /// <summary>
    /// Takes the events into the ledger. Once its commit has begun, cancellation no longer stops it. Who sent few goes on on the thread that
    /// answers it and some others: what follows must not block it.
    /// </summary>
    /// <returns>What became of each event, in order.</returns>
    public async Task<IReadOnlyList<UsageOutcome>> Take(UsageDelivery delivery, CancellationToken cancellation)
    {
        var mine = new Waiting(delivery, store.LaneOf(delivery.TenantId));
        lock (gate)
        {
            waiting.Add(mine);
            if (MayBeTaken(mine))
                Gather();
        }

        await using var withdrawal = cancellation.UnsafeRegister(_ => Withdraw(mine, cancellation), null);
        return await mine.Outcomes.Task;
    }

    private void Withdraw(Waiting mine, CancellationToken cancellation)
    {
        bool isMine;
        lock (gate)
            isMine = waiting.Remove(mine);
        if (isMine)
            mine.Outcomes.TrySetCanceled(cancellation);
    }

    // One gathers at a time. To be called within the gate.
    private void Gather()
    {
        if (gathers)
            return;
        gathers = true;

        // A commit belongs to several callers: it is in none's trace and none's transaction.
        using (ExecutionContext.SuppressFlow())
            _ = Task.Run(GatherAndCommit);
    }

    private async Task GatherAndCommit()
    {
        await LetIn();
        while (Next() is { Waiting.Count: > 0 } batch)
        {
            await Append(batch.Waiting);
            if (!await AnswerAndGoOn(batch))
                return;
        }
    }

    // What is left is for another commit.
    private Batch Next()
    {
        lock (gate)
        {
            var batch = TakeWhatWaits();
            gathers = false;
            if (batch.Waiting.Count > 0 && waiting.Exists(MayBeTaken))
                Gather();
            return batch;
        }
    }

    // As long as more come they are let in.
    private async Task LetIn()
    {
        for (var before = -1; ;)
        {
            lock (gate)
            {
                if (waiting.Count == before || waiting.Count >= EventsMax)
                    return;
                before = waiting.Count;
            }

            await Task.Yield();
        }
    }

    // Each caller goes on here and now until it waits again, most likely with its next delivery: the next commit has them all. One that
    // does not wait again soon delays the few who are answered after it on its thread, and no commit: another thread goes on then. True where
    // this one does.
    private async Task<bool> AnswerAndGoOn(Batch batch)
    {
        var turns = 0;
        lock (gate)
        {
            Release(batch);
            if (!gathers)
                turns = 1;
            gathers = true;
        }

        await using (TimeProvider.System.CreateTimer(_ => GoOnElsewhere(), null, AnswersWithin, Timeout.InfiniteTimeSpan))
            await Answer(batch.Waiting);
        return IsMyTurn();

        void GoOnElsewhere()
        {
            if (IsMyTurn())
                _ = GatherAndCommit();
        }

        // Who comes first.
        bool IsMyTurn() => Interlocked.Exchange(ref turns, 0) == 1;
    }

    private static Task Answer(IReadOnlyList<Waiting> answered)
    {
        var elsewhere = answered.Skip(AnswersAtOnce).Chunk(AnswersAtOnce).Select(part => Task.Run(() => Each(part))).ToList();
        Each(answered.Take(AnswersAtOnce));
        return Task.WhenAll(elsewhere);

        static void Each(IEnumerable<Waiting> part)
        {
            foreach (var it in part)
                it.Answer();
        }
    }

    // Who has waited longest says what is taken: what is large of its tenant, or what is small of all.
    private Batch TakeWhatWaits()
    {
        var small = waiting.Where(it => !it.IsLarge && MayBeTaken(it)).ToLookup(it => it.Share, it => it.Size);
        var first = waiting.Find(it => MayBeTaken(it) && (it.IsLarge || shares.Count == 0 || small[it.Share].Sum() >= BesideMin));
        if (first is null)
            return new([], IsLarge: false);

        var ofAllShares = small.Sum(share => share.Sum()) <= Few;
        List<Waiting> taken = [], left = [];
        HashSet<Guid> tenants = [];
        var events = 0;
        foreach (var next in waiting)
        {
            if (!MayBeTaken(next) || !GoesWithFirst(next) || !Fits(next))
            {
                left.Add(next);
                continue;
            }

            taken.Add(next);
            tenants.Add(next.Tenant);
            events += next.Size;
        }

        waiting = left;
        var batch = new Batch(taken, first.IsLarge);
        Hold(batch);
        return batch;

        bool GoesWithFirst(Waiting next) => first.IsLarge
            ? next.IsLarge && next.Tenant == first.Tenant
            : !next.IsLarge && (ofAllShares || next.Share == first.Share);

        bool Fits(Waiting next) => taken.Count == 0
            || (events + next.Size <= EventsMax && (tenants.Count < TenantsMax || tenants.Contains(next.Tenant)));
    }

    private bool MayBeTaken(Waiting it) => !lanes.Contains(it.Lane) && (it.IsLarge
        ? large.Count < LargeMax && !large.Exists(held => held.Tenant == it.Tenant) && !IsAfterSmall(it)
        : !shares.Contains(it.Share) && !large.Exists(held => held.Lane == it.Lane));

    // Large ones of a lane may follow each other for ever; what is small and came before takes its turn between them.
    private bool IsAfterSmall(Waiting it) => waiting.TakeWhile(other => other != it).Any(other => !other.IsLarge && other.Lane == it.Lane);

    private void Hold(Batch batch)
    {
        if (batch.IsLarge)
        {
            large.Add(batch.Waiting[0]);
            return;
        }

        lanes.UnionWith(batch.Waiting.Select(it => it.Lane));
        shares.UnionWith(batch.Waiting.Select(it => it.Share));
    }

    private void Release(Batch batch)
    {
        if (large.Remove(batch.Waiting[0]))
            return;
        lanes.ExceptWith(batch.Waiting.Select(it => it.Lane));
        shares.ExceptWith(batch.Waiting.Select(it => it.Share));
    }

    private async Task Append(IReadOnlyList<Waiting> batch, bool again = false)
    {
        try
        {
            var outcomes = await UsageLedger.Append(store, [.. batch.Select(it => it.Delivery)], clock.Now(), CancellationToken.None);
            for (var i = 0; i < batch.Count; i++)
                batch[i].Taken = outcomes[i];
        }
        catch (Exception error) when (batch.Count > 1 && IsOfOneDelivery(error))
        {
            // Alone, each fails or succeeds by itself.
            foreach (var it in batch)
                await Append([it]);
        }
        catch (Exception error) when (!again && error is not NpgsqlException)
        {
            // A delivery that PostgreSQL could not read leaves its connection unusable for the next one, which is told so once.
            await Append(batch, again: true);
        }
        catch (Exception error)
        {
            foreach (var it in batch)
                it.Error = error;
        }
    }

    // What one delivery holds, or a lane that somebody else keeps long; never the way to the database.
    private static bool IsOfOneDelivery(Exception error) =>
        error is not NpgsqlException || error is PostgresException { IsTransient: false } or PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable };

    private sealed record Batch(IReadOnlyList<Waiting> Waiting, bool IsLarge);

    private sealed class Waiting(UsageDelivery delivery, int lane)
    {
        public UsageDelivery Delivery { get; } = delivery;
        public Guid Tenant => Delivery.TenantId;
        public int Lane { get; } = lane;
        public int Share { get; } = lane % Shares;
        public int Size => Math.Max(Delivery.Events.Count, 1);
        public bool IsLarge => Delivery.IsLarge;

        // Who sent much may have much to do before it waits again: the thread that answers does not go on with that.
        public TaskCompletionSource<IReadOnlyList<UsageOutcome>> Outcomes { get; } =
            new(delivery.IsLarge ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None);

        public IReadOnlyList<UsageOutcome>? Taken { get; set; }
        public Exception? Error { get; set; }

        public void Answer()
        {
            if (Taken is { } outcomes)
                Outcomes.TrySetResult(outcomes);
            else
                Outcomes.TrySetException(Error!);
        }
    }
}
