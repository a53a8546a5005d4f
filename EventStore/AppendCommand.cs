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
    public static async Task<AppendAnswer> Execute(
        NpgsqlConnection connection, Database database, short[] lanes, IReadOnlyList<PreparedWrite> writes)
    {
        await using var command = For(database, lanes, writes);
        command.Connection = connection;
        await using var reader = await command.ExecuteReaderAsync(CancellationToken.None);
        await reader.ReadAsync(CancellationToken.None);
        var answer = AppendAnswer.Read(reader);
        // The rest of the answer must be read too: a commit that fails says so only there.
        while (await reader.NextResultAsync(CancellationToken.None)) { }
        return answer;
    }

    private static NpgsqlCommand For(Database database, short[] lanes, IReadOnlyList<PreparedWrite> writes)
    {
        var appends = 0;
        var events = 0;
        var messages = 0;
        foreach (var write in writes)
        {
            appends += write.Appends.Length;
            messages += write.Messages.Length;
            foreach (var append in write.Appends)
                events += append.Events.Length;
        }

        var a = new AppendArrays(appends);
        var e = new EventArrays(events, database.Lanes);
        var m = new MessageArrays(messages);
        for (var i = 0; i < writes.Count; i++)
        {
            foreach (var append in writes[i].Appends)
            {
                a.Add(i + 1, append);
                for (var at = 0; at < append.Events.Length; at++)
                    e.Add(i + 1, database.LaneOf(writes[i].TenantId), writes[i], append.Stream, append.ExpectedVersion + at + 1, append.Events[at]);
            }
            foreach (var message in writes[i].Messages)
                m.Add(i + 1, database.LaneOf(message.TenantId), writes[i].Cause, message);
        }

        var command = new NpgsqlCommand(database.AppendSql);
        command.Parameters.Add(Text(TenantsOf(writes)));
        command.Parameters.Add(Value(database.LockSpace));
        command.Parameters.Add(Value(lanes));
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

    private sealed class AppendArrays(int count)
    {
        private readonly int[] write = new int[count];
        private readonly Guid[] tenant = new Guid[count];
        private readonly string[] type = new string[count];
        private readonly Guid[] stream = new Guid[count];
        private readonly long[] expected = new long[count];
        private int next;

        public void Add(int ofWrite, PreparedAppend append)
        {
            write[next] = ofWrite;
            tenant[next] = append.Stream.TenantId;
            type[next] = append.Stream.Type;
            stream[next] = append.Stream.Id;
            expected[next++] = append.ExpectedVersion;
        }

        public void AddTo(NpgsqlParameterCollection parameters)
        {
            parameters.Add(Value(write));
            parameters.Add(Value(tenant));
            parameters.Add(Texts(type));
            parameters.Add(Value(stream));
            parameters.Add(Value(expected));
        }
    }

    private sealed class EventArrays(int count, int lanes)
    {
        private readonly int[] write = new int[count];
        private readonly short[] lane = new short[count];
        private readonly long[] place = new long[count];
        private readonly long[] places = new long[lanes];
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

        public void Add(int ofWrite, short ofLane, PreparedWrite of, StreamId id, long number, PreparedEvent @event)
        {
            write[next] = ofWrite;
            lane[next] = ofLane;
            place[next] = ++places[ofLane];
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
            parameters.Add(Value(lane));
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

    private sealed class MessageArrays(int count)
    {
        private readonly int[] write = new int[count];
        private readonly short[] lane = new short[count];
        private readonly Guid[] tenant = new Guid[count];
        private readonly Guid[] id = new Guid[count];
        private readonly string?[] queue = new string?[count];
        private readonly string[] type = new string[count];
        private readonly byte[][] body = new byte[count][];
        private readonly Guid?[] correlation = new Guid?[count];
        private readonly Guid?[] causation = new Guid?[count];
        private int next;

        public void Add(int ofWrite, short ofLane, Cause cause, PreparedMessage message)
        {
            write[next] = ofWrite;
            lane[next] = ofLane;
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
            parameters.Add(Value(lane));
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
