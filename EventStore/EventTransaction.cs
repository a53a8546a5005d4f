using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// One tenant's part in an open transaction that holds the tenant's lane, in the application's role: row-level security shows and
/// accepts that tenant's rows alone, or those of all tenants that were asked for together (<see cref="LaneTransaction"/>).
/// </summary>
public sealed class EventTransaction
{
    private readonly LaneTransaction lane;
    private readonly EventRows rows;
    private readonly Serializer serializer;
    private readonly Cause cause;
    private readonly Guid writeId = Guid.CreateVersion7();
    private readonly List<PreparedMessage> messages = [];

    internal EventTransaction(Guid tenantId, Cause cause, LaneTransaction lane, EventRows rows, Serializer serializer)
    {
        TenantId = tenantId;
        (this.cause, this.lane, this.rows, this.serializer) = (cause, lane, rows, serializer);
    }

    public Guid TenantId { get; }

    /// <summary>For tables of the caller's own; commands on it run in this transaction.</summary>
    public NpgsqlConnection Connection => lane.Connection;

    internal bool HasMessages => messages.Count > 0;

    public async Task<Loaded<TState>> Load<TState, TEvent>(StreamId stream, CancellationToken cancellation)
        where TState : IEvolve<TState, TEvent>
    {
        var together = new RoundTrip(Connection);
        var answer = Load<TState, TEvent>(stream, together);
        await together.Send(cancellation);
        return answer.Value;
    }

    /// <summary>The same, sent with other reads.</summary>
    public Answer<Loaded<TState>> Load<TState, TEvent>(StreamId stream, RoundTrip together)
        where TState : IEvolve<TState, TEvent>
    {
        RequireOwn(stream);
        return together.Ask(rows.OfStreams, stream, rows.Fold<TState, TEvent>);
    }

    /// <exception cref="VersionConflictException">The stream is not at the expected version.</exception>
    public Task<LanePosition> Append(
        StreamId stream, long expectedVersion, CancellationToken cancellation, params IReadOnlyList<object> events) =>
        Append([new StreamAppend(stream, expectedVersion, events)], cancellation);

    /// <summary>Appends to several streams at once, each named once; what is cheaper than one after the other.</summary>
    /// <exception cref="VersionConflictException">A stream is not at its expected version.</exception>
    public Task<LanePosition> Append(IReadOnlyList<StreamAppend> appends, CancellationToken cancellation) =>
        lane.Append([Prepare(appends)], cancellation);

    /// <summary>Loads, decides and appends. No retry is needed: nobody else writes in this lane meanwhile.</summary>
    public async Task<Decided<TState>> Decide<TState, TEvent>(
        StreamId stream, Func<TState, Decision<TEvent>> decide, CancellationToken cancellation)
        where TState : IEvolve<TState, TEvent>
    {
        var (state, version) = await Load<TState, TEvent>(stream, cancellation);
        var decision = decide(state);
        if (decision.Refusal is not null || decision.Events.Count == 0)
            return new(state, version, decision.Refusal);

        await Append(stream, version, cancellation, [.. decision.Events.Cast<object>()]);
        return new(Fold.After(state, decision.Events), version + decision.Events.Count, Refusal: null);
    }

    /// <summary>Publishes through the outbox after the commit.</summary>
    public void Publish(object message) => messages.Add(serializer.Prepare(TenantId, message));

    /// <summary>Sends to one queue through the outbox after the commit.</summary>
    public void Send(string queue, object message) => Publish(new AddressedMessage(queue, message));

    /// <summary>
    /// The inbox: true the first time a consumer sees a message, false for every redelivery after a commit. The row
    /// commits with the message's effects.
    /// </summary>
    public async Task<bool> TryReceive(string consumer, Guid messageId, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"insert into {rows.Schema}.inbox (tenant_id, consumer, message_id) values ($1, $2, $3) on conflict do nothing",
            Connection)
        {
            Parameters = { Value(TenantId), Text(consumer), Value(messageId) },
        };
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    /// <summary>The appends, with what was published until now.</summary>
    internal PreparedWrite Prepare(IReadOnlyList<StreamAppend> appends)
    {
        foreach (var append in appends)
            RequireOwn(append.Stream);
        var write = new PreparedWrite(writeId, TenantId, cause)
        {
            Appends = Serializer.Once(
                [.. appends.Select(append => serializer.Prepare(append.Stream, append.ExpectedVersion, append.Events))]),
            Messages = [.. messages],
        };
        messages.Clear();
        return write;
    }

    private void RequireOwn(StreamId stream)
    {
        if (stream.TenantId != TenantId)
            throw new ArgumentException("A transaction belongs to one tenant.", nameof(stream));
    }
}
