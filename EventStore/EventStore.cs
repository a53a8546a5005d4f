using NodaTime;

namespace Platform.EventStore;

/// <summary>
/// Event streams on PostgreSQL. One store serves one schema; reads and writes of tenants run in the application's
/// database role under row-level security.
/// </summary>
public sealed class EventStore
{
    /// <summary>Loads a stream and folds it, as it is now or as it was known at <paramref name="asOf"/>.</summary>
    public Task<Loaded<TState>> Load<TState, TEvent>(StreamId stream, CancellationToken cancellation, Instant? asOf = null)
        where TState : IEvolve<TState, TEvent> => throw new NotImplementedException();

    /// <summary>The events of a stream after <paramref name="afterVersion"/>, oldest first.</summary>
    public Task<IReadOnlyList<RecordedEvent>> Read(
        StreamId stream, CancellationToken cancellation, long afterVersion = 0, Instant? asOf = null) =>
        throw new NotImplementedException();

    /// <summary>
    /// Appends in one transaction with everything else the write holds. Concurrent callers share commits.
    /// </summary>
    /// <returns>The position of the write's last event.</returns>
    /// <exception cref="VersionConflictException">A stream is not at its expected version; nothing was written.</exception>
    public Task<LanePosition> Append(Write write, CancellationToken cancellation) => throw new NotImplementedException();

    /// <summary>
    /// Loads, decides and appends at the loaded version; on a conflict does so again, a bounded number of times.
    /// </summary>
    /// <param name="publish">Messages to publish for the decided events; asked only when there are events.</param>
    /// <returns>The state after the decision, or the refusal.</returns>
    public Task<Decided<TState>> Decide<TState, TEvent>(
        StreamId stream, Func<TState, Decision<TEvent>> decide, Cause cause, CancellationToken cancellation,
        Func<IReadOnlyList<TEvent>, IEnumerable<object>>? publish = null)
        where TState : IEvolve<TState, TEvent> => throw new NotImplementedException();

    /// <summary>
    /// Runs <paramref name="work"/> in one transaction that holds the tenant's lane, for writes that must read or
    /// change tables of their own together with their events. Committed when the work returns, rolled back when it throws.
    /// A serialization failure, deadlock or lost connection before the commit runs the work again, a bounded number of times.
    /// </summary>
    public Task<T> Transact<T>(
        Guid tenantId, Cause cause, Func<EventTransaction, CancellationToken, Task<T>> work, CancellationToken cancellation) =>
        throw new NotImplementedException();
}

/// <summary>What one transaction appends.</summary>
public sealed class Write(Guid tenantId, Cause cause)
{
    public Guid TenantId { get; } = tenantId;
    public Cause Cause { get; } = cause;
    public IReadOnlyList<StreamAppend> Appends => appends;
    public IReadOnlyList<object> Messages => messages;

    private readonly List<StreamAppend> appends = [];
    private readonly List<object> messages = [];

    /// <param name="expectedVersion">The version the decision was made at; 0 for a new stream.</param>
    public Write Append(StreamId stream, long expectedVersion, params IReadOnlyList<object> events)
    {
        if (stream.TenantId != TenantId)
            throw new ArgumentException("A write belongs to one tenant.", nameof(stream));
        appends.Add(new(stream, expectedVersion, events));
        return this;
    }

    /// <summary>Publishes the message through the outbox after the commit.</summary>
    public Write Publish(object message)
    {
        messages.Add(message);
        return this;
    }

    /// <summary>Sends the message to one queue through the outbox after the commit.</summary>
    public Write Send(string queue, object message)
    {
        messages.Add(new AddressedMessage(queue, message));
        return this;
    }
}

public sealed record StreamAppend(StreamId Stream, long ExpectedVersion, IReadOnlyList<object> Events);

/// <summary>A message for one queue; any other object in an outbox is published to whoever subscribes.</summary>
public sealed record AddressedMessage(string Queue, object Message);

public sealed record Decided<TState>(TState State, long Version, Refusal? Refusal);
