using NodaTime;
using Npgsql;
using NpgsqlTypes;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>One call of the SQL function <c>append</c>, for any number of writes.</summary>
internal static class AppendCommand
{
    /// <summary>
    /// Locks the lanes and appends, in the connection's transaction or as one by itself. Not to be cancelled: what others
    /// wrote is in it.
    /// </summary>
    /// <param name="lanes">The lanes of the writes, ascending.</param>
    /// <param name="how">What the server waits for and looks at first.</param>
    /// <param name="visible">The tenants whose rows the transaction sees from here on; null for those of the writes.</param>
    public static async Task<AppendAnswer> Execute(
        NpgsqlConnection connection, Database database, short[] lanes, IReadOnlyList<PreparedWrite> writes, AppendMode how,
        string? visible = null)
    {
        var check = new AppendArrays();
        await using var command = For(database, lanes, writes, how, check, visible ?? TenantsOf(writes));
        command.Connection = connection;
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        await reader.ReadAsync(CancellationToken.None);
        var answer = AppendAnswer.Read(reader, lanes, check.Appends);
        // The rest of the answer must be read too: a commit that fails says so only there.
        while (await reader.NextResultAsync(CancellationToken.None)) { }
        return answer;
    }

    /// <summary>A stream that was to be new exists; said of the whole batch by a command that did not look first.</summary>
    public static bool MetExistingStream(PostgresException error) =>
        error is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "events_pkey" };

    private static NpgsqlCommand For(
        Database database, short[] lanes, IReadOnlyList<PreparedWrite> writes, AppendMode how, AppendArrays a, string visible)
    {
        var events = 0;
        var messages = 0;
        foreach (var write in writes)
        {
            messages += write.Messages.Length;
            foreach (var append in write.Appends)
                events += append.Events.Length;
        }

        var e = new EventArrays(events, lanes.Length);
        var m = new MessageArrays(messages, lanes.Length);
        for (var i = 0; i < writes.Count; i++)
        {
            var lane = Array.IndexOf(lanes, database.LaneOf(writes[i].TenantId));
            foreach (var append in writes[i].Appends)
            {
                if (how.ChecksNewStreams || append.ExpectedVersion > 0 || append.Events.Length == 0)
                    a.Add(i + 1, append);
                for (var at = 0; at < append.Events.Length; at++)
                    e.Add(i + 1, lane, writes[i], append.Stream, append.ExpectedVersion + at + 1, append.Events[at]);
            }
            foreach (var message in writes[i].Messages)
                m.Add(i + 1, Array.IndexOf(lanes, database.LaneOf(message.TenantId)), writes[i].Cause, message);
        }

        var command = new NpgsqlCommand(database.AppendSql);
        command.Parameters.Add(Text(visible));
        command.Parameters.Add(Value(database.LockSpace));
        command.Parameters.Add(Value(how.WaitsForLanes));
        command.Parameters.Add(Value(lanes));
        command.Parameters.Add(Value(e.PerLane));
        command.Parameters.Add(Value(m.PerLane));
        a.AddTo(command.Parameters);
        e.AddTo(command.Parameters);
        m.AddTo(command.Parameters);
        return command;
    }

    private static string TenantsOf(IReadOnlyList<PreparedWrite> writes) =>
        writes.Count == 1
            ? $"{{{writes[0].TenantId}}}"
            : $"{{{string.Join(',', writes.Select(write => write.TenantId).Distinct())}}}";

    private static NpgsqlParameter<string?[]> Texts(string?[] values) =>
        new NpgsqlParameter<string?[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    private sealed class AppendArrays
    {
        private readonly List<int> write = [];

        public List<PreparedAppend> Appends { get; } = [];

        public void Add(int ofWrite, PreparedAppend append)
        {
            write.Add(ofWrite);
            Appends.Add(append);
        }

        public void AddTo(NpgsqlParameterCollection parameters)
        {
            parameters.Add(Value(write.ToArray()));
            parameters.Add(Value(Appends.ConvertAll(append => append.Stream.TenantId).ToArray()));
            parameters.Add(Texts([.. Appends.Select(append => append.Stream.Type)]));
            parameters.Add(Value(Appends.ConvertAll(append => append.Stream.Id).ToArray()));
            parameters.Add(Value(Appends.ConvertAll(append => append.ExpectedVersion).ToArray()));
        }
    }

    private sealed class EventArrays(int count, int lanes)
    {
        private readonly int[] write = new int[count];
        private readonly int[] at = new int[count];
        private readonly long[] place = new long[count];
        private readonly Guid[] tenant = new Guid[count];
        private readonly string[] streamType = new string[count];
        private readonly Guid[] stream = new Guid[count];
        private readonly long[] version = new long[count];
        private readonly string[] type = new string[count];
        private readonly byte[][] data = new byte[count][];
        private readonly Guid[] writeId = new Guid[count];
        private readonly Guid?[] correlation = new Guid?[count];
        private readonly Guid?[] causation = new Guid?[count];
        private readonly string?[] actor = new string?[count];
        private int next;

        public long[] PerLane { get; } = new long[lanes];

        public void Add(int ofWrite, int inLane, PreparedWrite of, StreamId id, long number, PreparedEvent @event)
        {
            write[next] = ofWrite;
            at[next] = inLane + 1;
            place[next] = ++PerLane[inLane];
            tenant[next] = id.TenantId;
            streamType[next] = id.Type;
            stream[next] = id.Id;
            version[next] = number;
            type[next] = @event.TypeName;
            data[next] = @event.Json;
            writeId[next] = of.Id;
            correlation[next] = of.Cause.CorrelationId;
            causation[next] = of.Cause.CausationId;
            actor[next++] = of.Cause.Actor;
        }

        public void AddTo(NpgsqlParameterCollection parameters)
        {
            parameters.Add(Value(write));
            parameters.Add(Value(at));
            parameters.Add(Value(place));
            parameters.Add(Value(tenant));
            parameters.Add(Texts(streamType));
            parameters.Add(Value(stream));
            parameters.Add(Value(version));
            parameters.Add(Texts(type));
            parameters.Add(Jsons(data));
            parameters.Add(Value(writeId));
            parameters.Add(Value(correlation));
            parameters.Add(Value(causation));
            parameters.Add(Texts(actor));
        }
    }

    private sealed class MessageArrays(int count, int lanes)
    {
        private readonly int[] write = new int[count];
        private readonly int[] at = new int[count];
        private readonly Guid[] tenant = new Guid[count];
        private readonly Guid[] id = new Guid[count];
        private readonly string?[] queue = new string?[count];
        private readonly string[] type = new string[count];
        private readonly byte[][] body = new byte[count][];
        private readonly Guid?[] correlation = new Guid?[count];
        private readonly Guid?[] causation = new Guid?[count];
        private int next;

        public long[] PerLane { get; } = new long[lanes];

        public void Add(int ofWrite, int inLane, Cause cause, PreparedMessage message)
        {
            write[next] = ofWrite;
            at[next] = inLane + 1;
            PerLane[inLane]++;
            tenant[next] = message.TenantId;
            id[next] = message.Id;
            queue[next] = message.Queue;
            type[next] = message.TypeName;
            body[next] = message.Json;
            correlation[next] = cause.CorrelationId;
            causation[next++] = cause.CausationId;
        }

        public void AddTo(NpgsqlParameterCollection parameters)
        {
            parameters.Add(Value(write));
            parameters.Add(Value(at));
            parameters.Add(Value(tenant));
            parameters.Add(Value(id));
            parameters.Add(Texts(queue));
            parameters.Add(Texts(type));
            parameters.Add(Jsons(body));
            parameters.Add(Value(correlation));
            parameters.Add(Value(causation));
        }
    }
}

/// <param name="WaitsForLanes">As long as it takes; else 50 ms, after which the command fails with lock_not_available.</param>
/// <param name="ChecksNewStreams">
/// Names the writes whose new stream exists already and appends the others; else the first of them fails the whole batch
/// (<see cref="AppendCommand.MetExistingStream"/>), which costs the server nothing where it does not happen.
/// </param>
internal readonly record struct AppendMode(bool WaitsForLanes, bool ChecksNewStreams)
{
    /// <summary>Within a transaction that has other work in it.</summary>
    public static readonly AppendMode Within = new(WaitsForLanes: true, ChecksNewStreams: true);
}
