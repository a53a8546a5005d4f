using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// Group commit: one commit at a time per lane and process, holding whatever callers wait. There is no timer and no
/// writer thread: the first caller commits at once, and the first of those who came meanwhile commits for them all.
/// </summary>
internal sealed class Appender
{
    private readonly Database database;
    private readonly InlineProjections inline;
    private readonly Bell bell;
    private readonly TimeProvider time;
    private readonly LaneQueue[] queues;

    public Appender(Database database, InlineProjections inline, Bell bell, TimeProvider time)
    {
        (this.database, this.inline, this.bell, this.time) = (database, inline, bell, time);
        queues = [.. database.AllLanes.Select(_ => new LaneQueue())];
    }

    /// <summary>The process's turn at a lane, so that at most one of its connections waits for the lane's lock.</summary>
    public SemaphoreSlim TurnAt(short lane) => queues[lane].Turn;

    /// <param name="uncertain">The write may have been committed before, behind a lost answer.</param>
    public async Task<LanePosition> Append(PreparedWrite write, CancellationToken cancellation, bool uncertain = false)
    {
        var lane = database.LaneOf(write.TenantId);
        var queue = queues[lane];
        var waiting = new WaitingWrite(write) { Uncertain = uncertain };
        if (!queue.Enter(waiting) && !await queue.WaitToLead(waiting, cancellation))
            return await waiting.Outcome;

        // The token no longer counts from here: the commit also holds the writes of others.
        IReadOnlyList<WaitingWrite> batch = [waiting];
        await queue.Turn.WaitAsync(CancellationToken.None);
        try
        {
            batch = queue.Gather(waiting);
            await Commit(lane, batch);
        }
        finally
        {
            queue.Turn.Release();
            queue.Leave(batch);
        }
        bell.Ring(lane);
        return await waiting.Outcome;
    }

    /// <summary>Gives every write its outcome; never throws for a failure of the database.</summary>
    private async Task Commit(short lane, IReadOnlyList<WaitingWrite> batch)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await TryCommit(lane, batch);
                return;
            }
            catch (Exception error) when (
                attempt + 1 < Faults.AttemptsMax && (Faults.IsLostConnection(error) || Faults.IsTransient(error)))
            {
                // Trying again is safe without asking first: if the lost commit took place, or still does, the version
                // check under the lane's lock refuses the second one, and the write's id tells that it was ours.
                if (Faults.IsLostConnection(error))
                {
                    foreach (var write in batch)
                        write.Uncertain = true;
                }
                database.DropIdleConnections(error);
                await Task.Delay(Faults.Backoff(attempt), time, CancellationToken.None);
            }
            catch (Exception) when (batch.Count > 1)
            {
                // Somebody's write is bad. Alone, each fails or succeeds by itself.
                foreach (var write in batch)
                    await Commit(lane, [write]);
                return;
            }
            catch (Exception error)
            {
                batch[0].Fail(error);
                return;
            }
        }
    }

    private async Task TryCommit(short lane, IReadOnlyList<WaitingWrite> batch)
    {
        var started = time.GetTimestamp();
        var writes = new PreparedWrite[batch.Count];
        var folds = false;
        for (var i = 0; i < writes.Length; i++)
        {
            writes[i] = batch[i].Write;
            folds |= inline.Folds(writes[i]);
        }

        await using var connection = await database.Application.OpenConnectionAsync();
        // Without a projection to fold, lock, append and commit are one round trip: a batch is a transaction by itself.
        await using var transaction = folds ? await connection.BeginTransactionAsync() : null;
        var answer = await Execute(connection, lane, writes);

        var appended = answer.Failed.Length == 0 ? writes : [.. writes.Where((_, at) => !answer.Failed.Contains(at))];
        if (transaction is not null)
        {
            await inline.Apply(appended, lane, answer.Head, answer.RecordedAt, connection, CancellationToken.None);
            await transaction.CommitAsync();
        }

        var number = answer.Head;
        for (var i = 0; i < batch.Count; i++)
        {
            if (answer.Failed.Contains(i))
            {
                if (batch[i].Uncertain && await FindOwn(connection, writes[i]) is { } own)
                    batch[i].Succeed(own);
                else
                    batch[i].Fail(answer.Conflict(writes, i));
                continue;
            }
            foreach (var append in writes[i].Appends)
                number += append.Events.Length;
            batch[i].Succeed(new(lane, number));
        }
        Telemetry.Appended(time.GetElapsedTime(started), appended.Length, number - answer.Head);
    }

    private async Task<AppendCommand.Answer> Execute(NpgsqlConnection connection, short lane, PreparedWrite[] writes)
    {
        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new(TakeLane)
                {
                    Parameters = { Text(LaneQueue.TenantsOf(writes)), Value(database.LockSpace), Value((int)lane) },
                },
                AppendCommand.For(database.Schema, lane, writes),
            },
        };
        await using var reader = await batch.ExecuteReaderAsync();
        await reader.NextResultAsync();
        var answer = await AppendCommand.Answer.Read(reader);
        // The rest of the answer must be read: a commit that fails says so only there.
        while (await reader.NextResultAsync()) { }
        return answer;
    }

    /// <summary>The position of the write's last event, when its events are in the log.</summary>
    private async Task<LanePosition?> FindOwn(NpgsqlConnection connection, PreparedWrite write)
    {
        if (write.Appends.LastOrDefault(append => append.Events.Length > 0) is not { } last)
            return null;

        await using var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new("select set_config('platform.tenants', $1, true)") { Parameters = { Text($"{{{write.TenantId}}}") } },
                new(
                    $"select lane, number from {database.Schema}.events where tenant_id = $1 and stream_type = $2 "
                    + "and stream_id = $3 and version = $4 and write_id = $5")
                {
                    Parameters =
                    {
                        Value(last.Stream.TenantId),
                        Text(last.Stream.Type),
                        Value(last.Stream.Id),
                        Value(last.ExpectedVersion + last.Events.Length),
                        Value(write.Id),
                    },
                },
            },
        };
        await using var reader = await batch.ExecuteReaderAsync();
        await reader.NextResultAsync();
        return await reader.ReadAsync() ? new LanePosition(reader.GetInt16(0), reader.GetInt64(1)) : null;
    }
}
