using System.Collections.Concurrent;
using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// Connections for transactions, of which the one used last is used next: its server process and the processor have at hand what the next
/// transaction needs. A pool gives the one that has rested longest.
/// </summary>
internal sealed class WarmConnections(NpgsqlDataSource pool)
{
    // More than that at once are rare; the pool closes what nobody needs.
    private const int Kept = 4;

    private readonly ConcurrentStack<NpgsqlConnection> warm = new();

    /// <summary>Gives the work a connection of its own until it ends; one whose work failed goes back to the pool, which looks at it.</summary>
    public async Task<T> Use<T>(Func<NpgsqlConnection, Task<T>> work, CancellationToken cancellation)
    {
        if (!warm.TryPop(out var connection))
            connection = await pool.OpenConnectionAsync(cancellation);
        var keeps = false;
        try
        {
            var result = await work(connection);
            keeps = warm.Count < Kept;
            return result;
        }
        finally
        {
            if (keeps)
                warm.Push(connection);
            else
                await connection.DisposeAsync();
        }
    }

    /// <inheritdoc cref="Use{T}"/>
    public Task Use(Func<NpgsqlConnection, Task> work, CancellationToken cancellation) =>
        Use(
            async connection =>
            {
                await work(connection);
                return true;
            },
            cancellation);

    /// <summary>Gives all that rest back to the pool.</summary>
    public async ValueTask Clear()
    {
        while (warm.TryPop(out var connection))
            await connection.DisposeAsync();
    }
}
