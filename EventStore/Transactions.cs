using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>Runs callers' work under a lane's lock, and runs it again when the database failed for a moment.</summary>
internal sealed class Transactions(
    Database database, EventRows rows, Serializer serializer, Appender appender, InlineProjections inline, Bell bell,
    TimeProvider time)
{
    /// <inheritdoc cref="EventStore.Transact{T}(IReadOnlyList{Guid}, Cause, Func{LaneTransaction, CancellationToken, Task{T}}, CancellationToken)"/>
    public async Task<T> Run<T>(
        IReadOnlyList<Guid> tenantIds, Cause cause, Func<LaneTransaction, CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        if (tenantIds.Any(tenant => database.LaneOf(tenant) != database.LaneOf(tenantIds[0])))
            throw new ArgumentException("Tenants of one transaction share a lane.", nameof(tenantIds));
        return await Run(
            tenantIds,
            shared: false,
            async (connection, token) =>
            {
                var open = new LaneTransaction(tenantIds, cause, connection, database, rows, serializer, inline);
                var result = await work(open, token);
                await open.WriteMessages(token);
                return result;
            },
            cancellation);
    }

    /// <inheritdoc cref="EventStore.TransactBeside"/>
    public Task<T> RunBeside<T>(Guid tenantId, Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken cancellation) =>
        Run([tenantId], shared: true, work, cancellation);

    private async Task<T> Run<T>(
        IReadOnlyList<Guid> tenantIds, bool shared, Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        database.RefuseWithinTransaction();
        var lane = database.LaneOf(tenantIds[0]);
        for (var attempt = 0; ; attempt++)
        {
            await appender.TakeLane(lane, shared, cancellation);
            var run = new RunOnce<T>();
            try
            {
                database.WithinTransaction = true;
                await Run(run, tenantIds, lane, shared, work, cancellation);
                bell.Ring(lane);
                return run.Result!;
            }
            catch (Exception error) when (Faults.IsLostConnection(error) || Faults.IsTransient(error))
            {
                await database.DropIdleConnections(error);
                if (run.Committing && Faults.IsLostConnection(error))
                {
                    switch (await Committed(run.TransactionId, run.Epoch, cancellation))
                    {
                        case true:
                            bell.Ring(lane);
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
                appender.ReleaseLane(lane);
            }
            await Task.Delay(Faults.Backoff(attempt), time, cancellation);
        }
    }

    /// <inheritdoc cref="EventStore.Together"/>
    public Task<T> Together<T>(
        IReadOnlyCollection<Guid> tenantIds, Action<NpgsqlBatch> add, Func<NpgsqlDataReader, Task<T>> read, CancellationToken cancellation)
    {
        database.RefuseWithinTransaction();
        short[] lanes = [.. tenantIds.Select(database.LaneOf).Distinct().Order()];
        return database.Retry(time, cancellation, async () =>
        {
            var held = 0;
            try
            {
                for (; held < lanes.Length; held++)
                    await appender.TakeLane(lanes[held], shared: false, cancellation);

                return await database.Writers.Use(async connection =>
                {
                    // Commands that are sent at once are one transaction, which ends with the last of them.
                    await using var batch = connection.CreateBatch();
                    batch.BatchCommands.Add(new(TakeLanes)
                    {
                        Parameters =
                        {
                            Text($"{{{string.Join(',', tenantIds)}}}"), Value(database.LockSpace),
                            Value(Array.ConvertAll(lanes, lane => (int)lane)), Text(lanes.Length == 1 ? "0" : "50ms"),
                        },
                    });
                    add(batch);
                    await using var reader = await batch.ExecuteReaderAsync(CancellationToken.None);
                    await reader.NextResultAsync(CancellationToken.None);
                    var result = await read(reader);
                    // The rest of the answer must be read too: a commit that fails says so only there.
                    while (await reader.NextResultAsync(CancellationToken.None)) { }
                    return result;
                }, CancellationToken.None);
            }
            finally
            {
                foreach (var lane in lanes[..held])
                    appender.ReleaseLane(lane);
            }
        });
    }

    private async Task Run<T>(
        RunOnce<T> run, IReadOnlyList<Guid> tenantIds, short lane, bool shared, Func<NpgsqlConnection, CancellationToken, Task<T>> work,
        CancellationToken cancellation)
    {
        using var activity = Telemetry.Source.StartActivity("eventstore.transact");
        activity?.SetTag("eventstore.lane", lane);
        await database.Writers.Use(async connection =>
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellation);
            await using (var lockLane = new NpgsqlCommand(
                $"{(shared ? ShareLane : TakeLane)}, pg_current_xact_id()::text, (select stats_reset::text from pg_stat_wal)", connection)
            {
                Parameters = { Text(LaneTransaction.Visibility(tenantIds)), Value(database.LockSpace), Value((int)lane) },
            })
            await using (var reader = await lockLane.ExecuteReaderAsync(cancellation))
            {
                await reader.ReadAsync(cancellation);
                run.TransactionId = reader.GetString(reader.FieldCount - 2);
                run.Epoch = reader.GetString(reader.FieldCount - 1);
            }

            run.Result = await work(connection, cancellation);
            run.Committing = true;
            await transaction.CommitAsync(CancellationToken.None);
        }, cancellation);
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
