using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>Group commit: whatever callers of this process wait, in whatever lanes, shares one round trip and one commit.</summary>
internal sealed class Appender(Database database, InlineProjections inline, Bell bell, TimeProvider time)
{
    private readonly AppendQueue queue = new(database.Lanes);

    /// <inheritdoc cref="AppendQueue.TakeLane"/>
    public Task TakeLane(short lane, bool shared, CancellationToken cancellation) => queue.TakeLane(lane, shared, cancellation);

    public void ReleaseLane(short lane) => queue.ReleaseLane(lane);

    /// <param name="uncertain">The write may have been committed before, behind a lost answer.</param>
    public async Task<LanePosition> Append(PreparedWrite write, CancellationToken cancellation, bool uncertain = false)
    {
        var waiting = new WaitingWrite(write, database.LaneOf(write.TenantId)) { Uncertain = uncertain };
        if ((queue.Enter(waiting) ?? await WaitToLead(waiting, cancellation)) is not { } batch)
            return await waiting.Outcome;

        // The token no longer counts from here: the commit also holds the writes of others.
        try
        {
            await Commit(batch.Lanes, batch.Writes, waitsForLanes: false);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.LockNotAvailable)
        {
            batch = queue.Split(batch, waiting);
            await Commit(batch.Lanes, batch.Writes, waitsForLanes: true);
        }
        finally
        {
            queue.Leave(batch);
        }
        foreach (var lane in batch.Lanes)
            bell.Ring(lane);
        return await waiting.Outcome;
    }

    private async Task<Batch?> WaitToLead(WaitingWrite waiting, CancellationToken cancellation)
    {
        await using var withdrawal = cancellation.UnsafeRegister(_ => queue.Withdraw(waiting, cancellation), null);
        return await waiting.Led;
    }

    /// <summary>Gives every write its outcome. Throws only when the lanes could not be had in time.</summary>
    private async Task Commit(short[] lanes, IReadOnlyList<WaitingWrite> writes, bool waitsForLanes)
    {
        // Most streams that are said to be new are, so the server looks only once one was not.
        var how = new AppendMode(waitsForLanes, ChecksNewStreams: false);
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                await TryCommit(lanes, writes, how);
                return;
            }
            catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.LockNotAvailable && !waitsForLanes)
            {
                throw;
            }
            catch (PostgresException error) when (AppendCommand.MetExistingStream(error) && !how.ChecksNewStreams)
            {
                how = how with { ChecksNewStreams = true };
            }
            catch (Exception error) when (
                attempt + 1 < Faults.AttemptsMax && (Faults.IsLostConnection(error) || Faults.IsTransient(error)))
            {
                // Trying again is safe without asking first: if the lost commit took place, or still does, the version
                // check under the lane's lock refuses the second one, and the write's id tells that it was ours.
                if (Faults.IsLostConnection(error))
                {
                    foreach (var write in writes)
                        write.Uncertain = true;
                }
                await database.DropIdleConnections(error);
                await Task.Delay(Faults.Backoff(attempt), time, CancellationToken.None);
            }
            catch (Exception error) when (writes.Count > 1 && !Faults.IsTimeout(error) && !Faults.IsLostConnection(error))
            {
                // Somebody's write is bad. Alone, each fails or succeeds by itself.
                foreach (var write in writes)
                    await Commit([write.Lane], [write], waitsForLanes: true);
                return;
            }
            catch (Exception error)
            {
                foreach (var write in writes)
                    write.Fail(error);
                return;
            }
        }
    }

    private async Task TryCommit(short[] lanes, IReadOnlyList<WaitingWrite> batch, AppendMode how)
    {
        using var activity = Telemetry.Source.StartActivity("eventstore.append");
        activity?.SetTag("eventstore.writes", batch.Count);
        var started = time.GetTimestamp();
        var writes = new PreparedWrite[batch.Count];
        var folds = false;
        for (var i = 0; i < writes.Length; i++)
        {
            writes[i] = batch[i].Write;
            folds |= inline.Folds(writes[i]);
        }

        await database.Writers.Use(async connection =>
        {
            // Without a projection to fold, lock, append and commit are one round trip: a statement is a transaction by itself.
            await using var transaction = folds ? await connection.BeginTransactionAsync() : null;
            var answer = await AppendCommand.Execute(connection, database, lanes, writes, how);
            var positions = answer.Positions(database, writes);
            if (transaction is not null)
            {
                await inline.Apply(writes, positions, answer, connection, CancellationToken.None);
                await transaction.CommitAsync();
            }

            for (var i = 0; i < batch.Count; i++)
            {
                if (positions[i] is { } position)
                    batch[i].Succeed(position);
                else if (batch[i].Uncertain && await FindOwn(connection, writes[i]) is { } own)
                    batch[i].Succeed(own);
                else
                    batch[i].Fail(answer.Conflict(i));
            }
        }, CancellationToken.None);
        Telemetry.Appended(time.GetElapsedTime(started), writes);
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
                new(ShowTenants) { Parameters = { Text($"{{{write.TenantId}}}") } },
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
