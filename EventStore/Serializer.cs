using System.Text.Json;

namespace Platform.EventStore;

/// <summary>A write as the database takes it: serialized by its caller before any lock is taken.</summary>
internal sealed class PreparedWrite(Guid id, Guid tenantId, Cause cause)
{
    /// <summary>Stored with the events, so that a writer who lost its connection can recognise its own commit.</summary>
    public Guid Id { get; } = id;

    public Guid TenantId { get; } = tenantId;
    public Cause Cause { get; } = cause;
    public required PreparedAppend[] Appends { get; init; }
    public required PreparedMessage[] Messages { get; init; }

    public int RowCount => Appends.Sum(append => append.Events.Length) + Messages.Length;
}

internal sealed record PreparedAppend(StreamId Stream, long ExpectedVersion, PreparedEvent[] Events);

internal readonly record struct PreparedEvent(object Data, string TypeName, byte[] Json);

internal readonly record struct PreparedMessage(Guid Id, Guid TenantId, string? Queue, string TypeName, byte[] Json);

internal sealed class Serializer(EventTypes events, MessageTypes messages)
{
    public PreparedWrite Prepare(Write write) => new(Guid.CreateVersion7(), write.TenantId, write.Cause)
    {
        Appends = Once([.. write.Appends.Select(append => Prepare(append.Stream, append.ExpectedVersion, append.Events))]),
        Messages = [.. write.Messages.Select(message => Prepare(write.TenantId, message))],
    };

    public PreparedAppend Prepare(StreamId stream, long expectedVersion, IReadOnlyList<object> data)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(expectedVersion);
        var prepared = new PreparedEvent[data.Count];
        for (var i = 0; i < prepared.Length; i++)
        {
            var (name, json) = events.Write(data[i]);
            prepared[i] = new(data[i], name, json);
        }
        return new(stream, expectedVersion, prepared);
    }

    public PreparedMessage Prepare(Guid tenantId, object message)
    {
        var (queue, body) = message is AddressedMessage addressed ? (addressed.Queue, addressed.Message) : (null, message);
        var type = body.GetType();
        return messages.ByName.GetValueOrDefault(type.Name) == type
            ? new(Guid.CreateVersion7(), tenantId, queue, type.Name, JsonSerializer.SerializeToUtf8Bytes(body, type, messages.Options))
            : throw new InvalidOperationException($"{type.Name} is not a registered message type.");
    }

    public object ReadMessage(string typeName, byte[] json) =>
        messages.ByName.TryGetValue(typeName, out var type)
            ? JsonSerializer.Deserialize(json, type, messages.Options)!
            : throw new InvalidOperationException($"No message type is registered as {typeName}.");

    public static PreparedAppend[] Once(PreparedAppend[] appends) =>
        appends.Length > 1 && appends.DistinctBy(append => append.Stream).Count() != appends.Length
            ? throw new ArgumentException("A write names each stream once.")
            : appends;
}
