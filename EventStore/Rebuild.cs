using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// Rebuilds a projection from its events while the system works: folds from zero into copies of its tables, catches up
/// under the locks of all lanes, and swaps the copies in, in one transaction. Nobody sees a half-built view.
/// </summary>
public sealed class Rebuild
{
    private const int PageEvents = 20_000;

    private const int LanesAtOnce = 4;

    // So few events may be left for the last catch-up, during which every writer waits.
    private const int CatchUpEvents = 2_000;

    private readonly Database database;
    private readonly EventRows rows;
    private readonly IReadOnlyList<Projection> projections;

    internal Rebuild(Database database, EventTypes events, IEnumerable<Projection> projections)
    {
        this.database = database;
        this.projections = [.. projections];
        rows = new(database, events);
    }

    /// <summary>The projections that can be rebuilt, by name.</summary>
    public IEnumerable<string> Projections => projections.Select(projection => projection.Name);

    /// <param name="projection">Its <see cref="Projection.Name"/>.</param>
    /// <returns>How many events were folded.</returns>
    /// <exception cref="ArgumentException">No projection has that name.</exception>
    /// <exception cref="InvalidOperationException">Another rebuild of the projection is under way.</exception>
    public async Task<long> Run(string projection, CancellationToken cancellation)
    {
        var rebuilt = projections.FirstOrDefault(known => known.Name == projection)
            ?? throw new ArgumentException($"No projection is named {projection}.", nameof(projection));

        // 1 keep others out, 2 make empty copies, 3 fold the log, 4 close the lanes, 5 fold the rest, 6 swap.
        await using var guard = await database.System.OpenConnectionAsync(cancellation);
        await using var guarded = await guard.BeginTransactionAsync(cancellation);
        await using (var alone = new NpgsqlCommand("select pg_try_advisory_xact_lock(hashtextextended($1, $2))", guard)
        {
            Parameters = { Text($"rebuild/{rebuilt.Name}"), Value((long)database.LockSpace) },
        })
        {
            if (await alone.ExecuteScalarAsync(cancellation) is not true)
                throw new InvalidOperationException($"Another rebuild of {rebuilt.Name} is under way.");
        }

        await using var connection = await database.System.OpenConnectionAsync(cancellation);
        await OfTables("begin_rebuild", rebuilt, connection, cancellation);

        var folded = 0L;
        var checkpoints = new long[database.Lanes];
        while (await Behind(checkpoints, connection, cancellation) > CatchUpEvents)
        {
            // A tenant's documents are folded in its own lane alone, so lanes do not meet.
            await Parallel.ForEachAsync(
                database.AllLanes,
                new ParallelOptions { MaxDegreeOfParallelism = LanesAtOnce, CancellationToken = cancellation },
                async (lane, stopping) =>
                {
                    await using var own = await database.System.OpenConnectionAsync(stopping);
                    Interlocked.Add(ref folded, await FoldLane(rebuilt, lane, checkpoints, own, commitPages: true, stopping));
                });
        }

        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        foreach (var lane in database.AllLanes)
            await Execute(connection, "select pg_advisory_xact_lock($1, $2)", cancellation, Value(database.LockSpace), Value((int)lane));
        await Execute(
            connection, $"select 1 from {database.Schema}.readers where name = $1 for update", cancellation, Text(ProjectionReader.NameOf(rebuilt)));
        foreach (var lane in database.AllLanes)
            folded += await FoldLane(rebuilt, lane, checkpoints, connection, commitPages: false, cancellation);
        await OfTables("swap_rebuild", rebuilt, connection, cancellation);
        foreach (var lane in database.AllLanes)
        {
            await Execute(
                connection, $"update {database.Schema}.readers set number = $3 where name = $1 and lane = $2", cancellation,
                Text(ProjectionReader.NameOf(rebuilt)), Value(lane), Value(checkpoints[lane]));
        }

        await transaction.CommitAsync(cancellation);
        return folded;
    }

    private async Task<long> FoldLane(
        Projection projection, short lane, long[] checkpoints, NpgsqlConnection connection, bool commitPages,
        CancellationToken cancellation)
    {
        var tables = new ProjectionTables(connection, table => $"{database.Schema}.\"{table}__rebuild\"");
        var head = await Head(lane, connection, cancellation);
        for (var folded = 0L; ;)
        {
            await using var transaction = commitPages ? await connection.BeginTransactionAsync(cancellation) : null;
            // A crash begins the rebuild anew, so no page need reach the disk before the swap does.
            if (commitPages)
                await Execute(connection, "set local synchronous_commit = off", cancellation);
            var page = await rows.Page(connection, lane, checkpoints[lane], head, PageEvents, projection.Folds, cancellation);
            if (page.Count > 0)
                await projection.Apply(page, tables, cancellation);
            await tables.Send(cancellation);
            if (transaction is not null)
                await transaction.CommitAsync(cancellation);

            folded += page.Count;
            checkpoints[lane] = page.Count == PageEvents ? page[^1].Position.Number : head;
            if (page.Count < PageEvents)
                return folded;
        }
    }

    private async Task<long> Behind(long[] checkpoints, NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select sum(number)::bigint from {database.Schema}.lanes", connection);
        return (long)(await command.ExecuteScalarAsync(cancellation))! - checkpoints.Sum();
    }

    private async Task<long> Head(short lane, NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select number from {database.Schema}.lanes where lane = $1", connection)
        {
            Parameters = { Value(lane) },
        };
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private async Task OfTables(string function, Projection projection, NpgsqlConnection connection, CancellationToken cancellation)
    {
        foreach (var table in projection.Tables)
            await Execute(connection, $"select {database.Schema}.{function}($1)", cancellation, Text(table));
    }

    private static async Task Execute(
        NpgsqlConnection connection, string sql, CancellationToken cancellation, params NpgsqlParameter[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        command.Parameters.AddRange(parameters);
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
