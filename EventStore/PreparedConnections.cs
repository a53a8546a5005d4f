using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// Connections that prepare what they are asked a second time, and keep it from one use to the next: planning costs as much as most of
/// the statements do. Whoever uses them makes every setting within a transaction, for that transaction.
/// </summary>
public static class PreparedConnections
{
    public static NpgsqlDataSource Source(string connection) =>
        NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connection)
        {
            MaxAutoPrepare = 100,
            AutoPrepareMinUsages = 2,
            NoResetOnClose = true,      // there is nothing to reset
            Enlist = false,
        });
}
