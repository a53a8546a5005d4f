using Npgsql;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>
/// One open transaction of one tenant that holds the tenant's lane, in the application's role: row-level security shows
/// and accepts that tenant's rows alone.
/// </summary>
public sealed class EventTransaction
{
    private readonly Database database;
    private readonly EventRows rows;
    private readonly Serializer serializer;
    private readonly InlineProjections inline;
    private readonly Cause cause;
    private readonly Guid writeId = Guid.CreateVersion7();
    private readonly List<PreparedMessage> messages = [];

    internal EventTransaction(
        Guid tenantId, Cause cause, NpgsqlConnection connection, Database database, EventRows rows, Serializer serializer,
        InlineProjections inline)
    {
        TenantId = tenantId;
        Connection = connection;
        (this.cause, this.database, this.rows, this.serializer, this.inline) = (cause, database, rows, serializer, inline);
    }

    public Guid TenantId { get; }

    /// <summary>For tables of the caller's own; commands on it run in this transaction.</summary>
    public NpgsqlConnection Connection { get; }

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
        var (sql, parameters) = rows.OfStreamWithin(stream);
        return together.Ask(sql, rows.Fold<TState, TEvent>, parameters);
    }

    /// <exception cref="VersionConflictException">The stream is not at the expected version.</exception>
    public Task<LanePosition> Append(
        StreamId stream, long expectedVersion, CancellationToken cancellation, params IReadOnlyList<object> events) =>
        Append([new StreamAppend(stream, expectedVersion, events)], cancellation);

    /// <summary>Appends to several streams at once, each named once; what is cheaper than one after the other.</summary>
    /// <exception cref="VersionConflictException">A stream is not at its expected version.</exception>
    public Task<LanePosition> Append(IReadOnlyList<StreamAppend> appends, CancellationToken cancellation)
    {
        foreach (var append in appends)
            RequireOwn(append.Stream);
        return AppendAll(
            Serializer.Once([.. appends.Select(append => serializer.Prepare(append.Stream, append.ExpectedVersion, append.Events))]),
            cancellation);
    }

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
            $"insert into {database.Schema}.inbox (tenant_id, consumer, message_id) values ($1, $2, $3) on conflict do nothing",
            Connection)
        {
            Parameters = { Value(TenantId), Text(consumer), Value(messageId) },
        };
        return await command.ExecuteNonQueryAsync(cancellation) == 1;
    }

    internal async Task WriteMessages(CancellationToken cancellation)
    {
        if (messages.Count > 0)
            await AppendAll([], cancellation);
    }

    // With what was published until then.
    private async Task<LanePosition> AppendAll(PreparedAppend[] appends, CancellationToken cancellation)
    {
        var lane = database.LaneOf(TenantId);
        PreparedWrite[] write = [new(writeId, TenantId, cause) { Appends = appends, Messages = [.. messages] }];
        messages.Clear();
        var answer = await AppendCommand.Execute(Connection, database, [lane], write, AppendMode.Within);
        if (answer.Failed.Length > 0)
            throw answer.Conflict(failed: 0);

        var positions = answer.Positions(database, write);
        if (inline.Folds(write[0]))
            await inline.Apply(write, positions, answer, Connection, cancellation);
        return positions[0]!.Value;
    }

    private void RequireOwn(StreamId stream)
    {
        if (stream.TenantId != TenantId)
            throw new ArgumentException("A transaction belongs to one tenant.", nameof(stream));
    }
}
