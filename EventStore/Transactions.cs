using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>Runs callers' work under a lane's lock, and runs it again when the database failed for a moment.</summary>
internal sealed class Transactions(
    Database database, EventRows rows, Serializer serializer, Appender appender, InlineProjections inline, Bell bell,
    TimeProvider time)
{
    public async Task<T> Run<T>(
        Guid tenantId, Cause cause, Func<EventTransaction, CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        database.RefuseWithinTransaction();
        var lane = database.LaneOf(tenantId);
        for (var attempt = 0; ; attempt++)
        {
            await appender.TakeLane(lane, cancellation);
            var run = new RunOnce<T>();
            try
            {
                database.WithinTransaction = true;
                await Run(run, tenantId, lane, cause, work, cancellation);
                bell.Ring(lane);
                return run.Result!;
            }
            catch (Exception error) when (Faults.IsLostConnection(error) || Faults.IsTransient(error))
            {
                database.DropIdleConnections(error);
                if (run.Committing && Faults.IsLostConnection(error) && await Committed(run.TransactionId, cancellation))
                {
                    bell.Ring(lane);
                    return run.Result!;
                }
                if (attempt + 1 >= Faults.AttemptsMax)
                    throw;
            }
            finally
            {
                database.WithinTransaction = false;
                appender.ReleaseLane(lane);
            }
            await Task.Delay(Faults.Backoff(attempt), time, cancellation);
        }
    }

    private async Task Run<T>(
        RunOnce<T> run, Guid tenantId, short lane, Cause cause, Func<EventTransaction, CancellationToken, Task<T>> work,
        CancellationToken cancellation)
    {
        using var activity = Telemetry.Source.StartActivity("eventstore.transact");
        activity?.SetTag("eventstore.lane", lane);
        await using var connection = await database.Application.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await using (var lockLane = new NpgsqlCommand($"{TakeLane}, pg_current_xact_id()::text", connection)
        {
            Parameters = { Text($"{{{tenantId}}}"), Value(database.LockSpace), Value((int)lane) },
        })
        await using (var reader = await lockLane.ExecuteReaderAsync(cancellation))
        {
            await reader.ReadAsync(cancellation);
            run.TransactionId = reader.GetString(2);
        }

        var open = new EventTransaction(tenantId, cause, connection, database, rows, serializer, inline);
        run.Result = await work(open, cancellation);
        await open.WriteMessages(cancellation);
        run.Committing = true;
        await transaction.CommitAsync(CancellationToken.None);
    }

    /// <summary>What became of a commit whose answer was lost. PostgreSQL remembers, also over a crash.</summary>
    private Task<bool> Committed(string transactionId, CancellationToken cancellation) =>
        database.Retry(time, cancellation, async () =>
        {
            for (var attempt = 0; ; attempt++)
            {
                await using var status = database.Application.CreateCommand("select pg_xact_status($1::text::xid8)");
                status.Parameters.Add(Text(transactionId));
                switch (await status.ExecuteScalarAsync(cancellation))
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
        public bool Committing { get; set; }
    }
}
