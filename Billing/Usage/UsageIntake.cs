using Npgsql;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// Group commit: deliveries of many callers, of one or several tenants, share a transaction. There is no timer: what comes alone
/// is committed at once, and what comes meanwhile is committed together. Each caller gets its own answer, and a delivery that
/// cannot be stored spoils no other.
/// </summary>
public sealed class UsageIntake(EventStore.EventStore store, TimeProvider clock)
{
    // While so many commits are under way, new deliveries gather: one waits for the disk while others work.
    private const int CommitsAtOnce = 3;

    // A further commit begins with as many events as are under way, or with so many: two small commits cost more than one of both.
    private const int EventsWorthACommit = 100;

    // Enough to amortise the commit, few enough to keep the lanes' locks short; row-level security compares with each tenant.
    private const int EventsMax = 5_000;
    private const int TenantsMax = 200;

    private readonly Lock gate = new();
    private readonly HashSet<short> taken = [];
    private List<Waiting> waiting = [];
    private int committers;
    private int inHand;

    /// <summary>Takes the events into the ledger. Once its commit has begun, cancellation no longer stops it.</summary>
    /// <returns>What became of each event, in order.</returns>
    public async Task<IReadOnlyList<UsageOutcome>> Take(UsageDelivery delivery, CancellationToken cancellation)
    {
        var mine = new Waiting(delivery, store.LaneOf(delivery.TenantId));
        lock (gate)
            waiting.Add(mine);
        await using var withdrawal = cancellation.UnsafeRegister(_ => Withdraw(mine, cancellation), null);
        CommitWhatWaits();
        return await mine.Outcomes.Task;
    }

    private void Withdraw(Waiting mine, CancellationToken cancellation)
    {
        lock (gate)
        {
            if (waiting.Remove(mine))
                mine.Outcomes.TrySetCanceled(cancellation);
        }
    }

    private void CommitWhatWaits()
    {
        lock (gate)
        {
            var needed = committers == 0 ? 1 : Math.Min(inHand, EventsWorthACommit);
            // Who commits and has nothing in hand is about to take what waits.
            if (committers == CommitsAtOnce || needed == 0 || !AreWaiting(needed))
                return;
            committers++;
        }

        // A commit belongs to several callers: it is in none's trace and none's transaction.
        using (ExecutionContext.SuppressFlow())
            _ = Task.Run(CommitUntilNothingWaits);
    }

    private bool AreWaiting(int events)
    {
        foreach (var it in waiting)
        {
            if (!taken.Contains(it.Lane) && (events -= it.Size) <= 0)
                return true;
        }

        return false;
    }

    private async Task CommitUntilNothingWaits()
    {
        while (await Gather() is { } batch)
        {
            // What is left is for another commit.
            CommitWhatWaits();
            await Append(batch);
            lock (gate)
            {
                taken.ExceptWith(batch.Select(it => it.Lane));
                inHand -= batch.Sum(it => it.Size);
            }

            foreach (var it in batch)
                it.Answer();
        }
    }

    // As long as more come they are let in: who was just answered is likely to send the next.
    private async Task<List<Waiting>?> Gather()
    {
        for (var before = -1; ;)
        {
            lock (gate)
            {
                if (waiting.Count == before || waiting.Count is 0 or >= EventsMax)
                {
                    var batch = TakeWhatWaits();
                    if (batch is null)
                        committers--;
                    return batch;
                }

                before = waiting.Count;
            }

            await Task.Yield();
        }
    }

    // Those whose lanes are free: two commits never wait for each other.
    private List<Waiting>? TakeWhatWaits()
    {
        List<Waiting> batch = [], left = [];
        HashSet<Guid> tenants = [];
        HashSet<short> lanes = [];
        var events = 0;
        foreach (var next in waiting)
        {
            var tenant = next.Delivery.TenantId;
            if (taken.Contains(next.Lane)
                || (batch.Count > 0 && events + next.Size > EventsMax)
                || (tenants.Count == TenantsMax && !tenants.Contains(tenant)))
            {
                left.Add(next);
                continue;
            }

            batch.Add(next);
            lanes.Add(next.Lane);
            tenants.Add(tenant);
            events += next.Size;
        }

        if (batch.Count == 0)
            return null;
        waiting = left;
        taken.UnionWith(lanes);
        inHand += events;
        return batch;
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

    private sealed class Waiting(UsageDelivery delivery, short lane)
    {
        public UsageDelivery Delivery { get; } = delivery;
        public short Lane { get; } = lane;
        public int Size { get; } = Math.Max(delivery.Events.Count, 1);
        public TaskCompletionSource<IReadOnlyList<UsageOutcome>> Outcomes { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

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
