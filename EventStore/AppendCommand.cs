using NodaTime;
using Npgsql;
using NpgsqlTypes;
using static Platform.EventStore.Database;

namespace Platform.EventStore;

/// <summary>One call of the SQL function <c>append</c>, for one lane and any number of writes.</summary>
internal static class AppendCommand
{
    public static NpgsqlBatchCommand For(string schema, short lane, IReadOnlyList<PreparedWrite> writes)
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
        var e = new EventArrays(events);
        var m = new MessageArrays(messages);
        for (var i = 0; i < writes.Count; i++)
        {
            foreach (var append in writes[i].Appends)
            {
                a.Add(i + 1, append);
                foreach (var (at, @event) in append.Events.Index())
                    e.Add(i + 1, writes[i], append.Stream, append.ExpectedVersion + at + 1, @event);
            }
            foreach (var message in writes[i].Messages)
                m.Add(i + 1, writes[i].Cause, message);
        }

        var command = new NpgsqlBatchCommand(
            $"select * from {schema}.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, "
            + "$18, $19, $20, $21, $22, $23, $24, $25)");
        command.Parameters.Add(Value(lane));
        a.AddTo(command.Parameters);
        e.AddTo(command.Parameters);
        m.AddTo(command.Parameters);
        return command;
    }

    /// <param name="Failed">Zero-based places of the writes that met another version; one for each stale stream.</param>
    /// <param name="Stale">Zero-based places of those streams among the streams of all the writes.</param>
    public readonly record struct Answer(long Head, Instant RecordedAt, int[] Failed, int[] Stale)
    {
        public VersionConflictException Conflict(IReadOnlyList<PreparedWrite> writes, int failed)
        {
            var stale = writes.SelectMany(write => write.Appends).ElementAt(Stale[Array.IndexOf(Failed, failed)]);
            return new(stale.Stream, stale.ExpectedVersion);
        }

        public static async Task<Answer> Read(NpgsqlDataReader reader)
        {
            await reader.ReadAsync();
            return new(
                reader.GetInt64(0),
                NodaTime.Instant.FromDateTimeUtc(reader.GetDateTime(1)),
                await Places(reader, 2),
                await Places(reader, 3));
        }

        private static async Task<int[]> Places(NpgsqlDataReader reader, int column) =>
            await reader.IsDBNullAsync(column) ? [] : [.. reader.GetFieldValue<int[]>(column).Select(place => place - 1)];
    }

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

    private sealed class EventArrays(int count)
    {
        private readonly int[] write = new int[count];
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

        public void Add(int ofWrite, PreparedWrite of, StreamId id, long number, PreparedEvent @event)
        {
            write[next] = ofWrite;
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
        private readonly Guid[] tenant = new Guid[count];
        private readonly Guid[] id = new Guid[count];
        private readonly string?[] queue = new string?[count];
        private readonly string[] type = new string[count];
        private readonly byte[][] body = new byte[count][];
        private readonly Guid?[] correlation = new Guid?[count];
        private readonly Guid?[] causation = new Guid?[count];
        private int next;

        public void Add(int ofWrite, Cause cause, PreparedMessage message)
        {
            write[next] = ofWrite;
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
