using NodaTime;
using Npgsql;

namespace Platform.EventStore;

/// <summary>
/// Event streams on PostgreSQL. One store serves one schema; reads and writes of tenants run in the application's
/// database role under row-level security.
/// </summary>
public sealed class EventStore
{
    // After these the decision is made under the lane's lock, where nobody can come first.
    private const int OptimisticAttempts = 3;

    private readonly Database database;
    private readonly EventRows rows;
    private readonly Serializer serializer;
    private readonly Appender appender;
    private readonly Transactions transactions;
    private readonly TimeProvider time;

    internal EventStore(
        Database database, EventTypes events, Serializer serializer, Appender appender, InlineProjections inline, Bell bell,
        TimeProvider time)
    {
        (this.database, this.serializer, this.appender, this.time) = (database, serializer, appender, time);
        rows = new(database, events);
        transactions = new(database, rows, serializer, appender, inline, bell, time);
    }

    /// <summary>Loads a stream and folds it, as it is now or as it was known at <paramref name="asOf"/>.</summary>
    /// <remarks>Read at an instant that has passed, the same question has the same answer for ever.</remarks>
    public Task<Loaded<TState>> Load<TState, TEvent>(StreamId stream, CancellationToken cancellation, Instant? asOf = null)
        where TState : IEvolve<TState, TEvent> =>
        database.Retry(time, cancellation, async () =>
        {
            await using var batch = rows.Read(stream, afterVersion: 0, asOf, EventRows.FoldColumns);
            await using var reader = await batch.ExecuteReaderAsync(cancellation);
            await reader.NextResultAsync(cancellation);
            return await rows.Fold<TState, TEvent>(reader, cancellation);
        });

    /// <summary>The events of a stream after <paramref name="afterVersion"/>, oldest first.</summary>
    public Task<IReadOnlyList<RecordedEvent>> Read(
        StreamId stream, CancellationToken cancellation, long afterVersion = 0, Instant? asOf = null) =>
        database.Retry(time, cancellation, async () =>
        {
            await using var batch = rows.Read(stream, afterVersion, asOf, EventRows.Columns);
            await using var reader = await batch.ExecuteReaderAsync(cancellation);
            await reader.NextResultAsync(cancellation);
            return (IReadOnlyList<RecordedEvent>)await rows.All(reader, cancellation);
        });

    /// <summary>
    /// Appends in one transaction with everything else the write holds. Concurrent callers share commits. Once the commit
    /// has begun, cancellation no longer stops it.
    /// </summary>
    /// <returns>The position of the write's last event.</returns>
    /// <exception cref="VersionConflictException">A stream is not at its expected version; nothing was written.</exception>
    public Task<LanePosition> Append(Write write, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        database.RefuseWithinTransaction();
        return appender.Append(serializer.Prepare(write), cancellation);
    }

    /// <summary>
    /// Loads, decides and appends at the loaded version; on a conflict does so again, a bounded number of times.
    /// </summary>
    /// <param name="publish">Messages to publish for the decided events; asked only when there are events.</param>
    /// <returns>The state after the decision, or the refusal.</returns>
    public async Task<Decided<TState>> Decide<TState, TEvent>(
        StreamId stream, Func<TState, Decision<TEvent>> decide, Cause cause, CancellationToken cancellation,
        Func<IReadOnlyList<TEvent>, IEnumerable<object>>? publish = null)
        where TState : IEvolve<TState, TEvent>
    {
        for (var attempt = 0; attempt < OptimisticAttempts; attempt++)
        {
            var (state, version) = await Load<TState, TEvent>(stream, cancellation);
            var decision = decide(state);
            if (decision.Refusal is not null || decision.Events.Count == 0)
                return new(state, version, decision.Refusal);

            var write = new Write(stream.TenantId, cause).Append(stream, version, [.. decision.Events.Cast<object>()]);
            foreach (var message in publish?.Invoke(decision.Events) ?? [])
                write.Publish(message);
            try
            {
                await Append(write, cancellation);
                return new(Fold.After(state, decision.Events), version + decision.Events.Count, Refusal: null);
            }
            catch (VersionConflictException)
            {
                // Somebody else was first; what they did may change the decision.
            }
        }

        return await Transact(stream.TenantId, cause, async (transaction, stopping) =>
        {
            IReadOnlyList<TEvent> happened = [];
            var decided = await transaction.Decide<TState, TEvent>(
                stream,
                state =>
                {
                    var decision = decide(state);
                    happened = decision.Refusal is null ? decision.Events : [];
                    return decision;
                },
                stopping);
            if (happened.Count > 0)
            {
                foreach (var message in publish?.Invoke(happened) ?? [])
                    transaction.Publish(message);
            }

            return decided;
        }, cancellation);
    }

    /// <summary>
    /// Runs <paramref name="work"/> in one transaction that holds the tenant's lane, for writes that must read or
    /// change tables of their own together with their events. Committed when the work returns, rolled back when it throws.
    /// A serialization failure, deadlock or lost connection before the commit runs the work again, a bounded number of times.
    /// Where the server crashed during the commit it throws: nobody can tell whether the commit took place, so callers must
    /// find their own work when they are asked again.
    /// </summary>
    /// <remarks>
    /// Everybody else's writes in the lane wait meanwhile: no HTTP call or other slow thing belongs in the work. Within it,
    /// use the transaction alone: the store's own Append, Decide and Transact would wait for this very lock, and throw.
    /// </remarks>
    public Task<T> Transact<T>(
        Guid tenantId, Cause cause, Func<EventTransaction, CancellationToken, Task<T>> work, CancellationToken cancellation) =>
        transactions.Run([tenantId], cause, (lane, stopping) => work(lane.Tenants[0], stopping), cancellation);

    /// <summary>
    /// The same for several tenants of one lane (<see cref="LaneOf"/>): what each costs by itself, most of all the commit, they share. A
    /// failure that is one tenant's is that of all; by themselves, each fails or succeeds alone.
    /// </summary>
    /// <param name="tenantIds">At least one.</param>
    public Task<T> Transact<T>(
        IReadOnlyList<Guid> tenantIds, Cause cause, Func<LaneTransaction, CancellationToken, Task<T>> work, CancellationToken cancellation) =>
        transactions.Run(tenantIds, cause, work, cancellation);

    /// <summary>
    /// Runs <paramref name="work"/> in one transaction that holds the tenant, for long writes to tables of the caller's own that append no
    /// events: several tenants of a lane may be at it at the same time, where <see cref="Transact{T}(Guid, Cause, Func{EventTransaction,
    /// CancellationToken, Task{T}}, CancellationToken)"/> and appends wait for each other, and for these. All else is as there.
    /// </summary>
    /// <param name="work">Is given the connection; commands on it run in the transaction.</param>
    public Task<T> TransactBeside<T>(
        Guid tenantId, Func<NpgsqlConnection, CancellationToken, Task<T>> work, CancellationToken cancellation) =>
        transactions.RunBeside(tenantId, work, cancellation);

    /// <summary>Tenants of one lane write in turns; those of different lanes do not wait for each other.</summary>
    public short LaneOf(Guid tenantId) => database.LaneOf(tenantId);

    /// <summary>
    /// Runs commands on tables of the caller's own in one transaction that holds the lanes of several tenants and sees the rows of all
    /// of them: one round trip, for those who write so often that each counts. Run again also after a commit whose answer was lost, so
    /// the commands must find what they did. Where a lane is not to be had within 50 ms, it fails with
    /// <see cref="PostgresErrorCodes.LockNotAvailable"/>: the tenants are then better served one by one.
    /// </summary>
    /// <param name="add">Adds the commands.</param>
    /// <param name="read">Reads their answers, from the first result on.</param>
    public Task<T> Together<T>(
        IReadOnlyCollection<Guid> tenantIds, Action<NpgsqlBatch> add, Func<NpgsqlDataReader, Task<T>> read, CancellationToken cancellation) =>
        transactions.Together(tenantIds, add, read, cancellation);
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
