using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// One open transaction of one tenant that holds the tenant's lane, in the application's role: row-level security shows
/// and accepts that tenant's rows alone.
/// </summary>
public sealed class EventTransaction
{
    internal EventTransaction(Guid tenantId, NpgsqlConnection connection)
    {
        TenantId = tenantId;
        Connection = connection;
    }

    public Guid TenantId { get; }

    /// <summary>For tables of the caller's own; commands on it run in this transaction.</summary>
    public NpgsqlConnection Connection { get; }

    public Task<Loaded<TState>> Load<TState, TEvent>(StreamId stream, CancellationToken cancellation)
        where TState : IEvolve<TState, TEvent> => throw new NotImplementedException();

    /// <exception cref="VersionConflictException">The stream is not at the expected version.</exception>
    public Task<LanePosition> Append(
        StreamId stream, long expectedVersion, CancellationToken cancellation, params IReadOnlyList<object> events) =>
        throw new NotImplementedException();

    /// <summary>Loads, decides and appends. No retry is needed: nobody else writes in this lane meanwhile.</summary>
    public Task<Decided<TState>> Decide<TState, TEvent>(
        StreamId stream, Func<TState, Decision<TEvent>> decide, CancellationToken cancellation)
        where TState : IEvolve<TState, TEvent> => throw new NotImplementedException();

    /// <summary>Publishes through the outbox after the commit.</summary>
    public void Publish(object message) => throw new NotImplementedException();

    /// <summary>Sends to one queue through the outbox after the commit.</summary>
    public void Send(string queue, object message) => throw new NotImplementedException();

    /// <summary>
    /// The inbox: true the first time a consumer sees a message, false for every redelivery after a commit. The row
    /// commits with the message's effects.
    /// </summary>
    public Task<bool> TryReceive(string consumer, Guid messageId, CancellationToken cancellation) =>
        throw new NotImplementedException();
}
