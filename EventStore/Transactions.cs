using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>Runs callers' work under a lane's lock, and runs it again when the database failed for a moment.</summary>
internal sealed class Transactions(
    Database database, EventRows rows, Serializer serializer, Appender appender, InlineProjections inline, Bell bell,
    TimeProvider time)
{
    public Task<T> Run<T>(
        Guid tenantId, Cause cause, Func<EventTransaction, CancellationToken, Task<T>> work, CancellationToken cancellation) =>
        Run(
            [tenantId],
            async (connection, token) =>
            {
                var open = new EventTransaction(tenantId, cause, connection, database, rows, serializer, inline);
                var result = await work(open, token);
                await open.WriteMessages(token);
                return result;
            },
            repeatable: false,
            cancellation);

    /// <param name="repeatable">The work finds its own work when it is done again after a commit whose answer was lost.</param>
    public async Task<T> Run<T>(
        IReadOnlyCollection<Guid> tenantIds, Func<NpgsqlConnection, CancellationToken, Task<T>> work, bool repeatable,
        CancellationToken cancellation)
    {
        database.RefuseWithinTransaction();
        int[] lanes = [.. tenantIds.Select(tenant => (int)database.LaneOf(tenant)).Distinct().Order()];
        for (var attempt = 0; ; attempt++)
        {
            var held = 0;
            var run = new RunOnce<T>();
            try
            {
                for (; held < lanes.Length; held++)
                    await appender.TakeLane((short)lanes[held], cancellation);
                database.WithinTransaction = true;
                await Run(run, tenantIds, lanes, work, cancellation);
                Ring(lanes);
                return run.Result!;
            }
            catch (Exception error) when (Faults.IsLostConnection(error) || Faults.IsTransient(error))
            {
                database.DropIdleConnections(error);
                if (run.Committing && !repeatable && Faults.IsLostConnection(error))
                {
                    switch (await Committed(run.TransactionId, run.Epoch, cancellation))
                    {
                        case true:
                            Ring(lanes);
                            return run.Result!;
                        case null:
                            throw;
                    }
                }
                if (attempt + 1 >= Faults.AttemptsMax)
                    throw;
            }
            finally
            {
                database.WithinTransaction = false;
                foreach (var lane in lanes[..held])
                    appender.ReleaseLane((short)lane);
            }
            await Task.Delay(Faults.Backoff(attempt), time, cancellation);
        }
    }

    private async Task Run<T>(
        RunOnce<T> run, IReadOnlyCollection<Guid> tenantIds, int[] lanes, Func<NpgsqlConnection, CancellationToken, Task<T>> work,
        CancellationToken cancellation)
    {
        using var activity = Telemetry.Source.StartActivity("eventstore.transact");
        activity?.SetTag("eventstore.lane", lanes[0]);
        await using var connection = await database.Application.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using (var lockLanes = new NpgsqlCommand(TakeLanes, connection)
        {
            Parameters =
            {
                Text($"{{{string.Join(',', tenantIds)}}}"), Value(database.LockSpace), Value(lanes),
                Text(lanes.Length == 1 ? "0" : "50ms"),
            },
        })
        await using (var reader = await lockLanes.ExecuteReaderAsync(cancellation))
        {
            await reader.ReadAsync(cancellation);
            run.TransactionId = reader.GetString(2);
            run.Epoch = reader.GetString(3);
        }

        run.Result = await work(connection, cancellation);
        run.Committing = true;
        await transaction.CommitAsync(CancellationToken.None);
    }

    private void Ring(int[] lanes)
    {
        foreach (var lane in lanes)
            bell.Ring((short)lane);
    }

    /// <summary>
    /// What became of a commit whose answer was lost; null where nobody can tell. After a crash PostgreSQL gives the ids of
    /// transactions that did not reach its disk to new ones, so a committed id may be a stranger's. The epoch changes with every
    /// crash, because the statistics are lost with it.
    /// </summary>
    private Task<bool?> Committed(string transactionId, string epoch, CancellationToken cancellation) =>
        database.Retry<bool?>(time, cancellation, async () =>
        {
            for (var attempt = 0; ; attempt++)
            {
                await using var ask = database.Application.CreateCommand(
                    "select pg_xact_status($1::text::xid8), (select stats_reset::text from pg_stat_wal)");
                ask.Parameters.Add(Text(transactionId));
                await using var reader = await ask.ExecuteReaderAsync(cancellation);
                await reader.ReadAsync(cancellation);
                if (reader.GetString(1) != epoch)
                    return null;
                switch (await reader.IsDBNullAsync(0, cancellation) ? null : reader.GetString(0))
                {
                    case "committed":
                        return true;
                    case "in progress":
                        await Task.Delay(Faults.Backoff(attempt, millisecondsMax: 500), time, cancellation);
                        continue;
                    default:
                        return false;
                }
            }
        });

    private sealed class RunOnce<T>
    {
        public T? Result { get; set; }
        public string TransactionId { get; set; } = "";
        public string Epoch { get; set; } = "";
        public bool Committing { get; set; }
    }
}
