namespace Platform.EventStore;

/// <summary>
/// Delivers outbox messages to the bus. Returns only once the broker has confirmed all of them; throws when it has not,
/// and they are delivered again later. <see cref="OutboxMessage.MessageId"/> must travel as the bus's message id: it is
/// what the receiver's inbox recognises a redelivery by.
/// </summary>
public interface IMessagePublisher
{
    Task Publish(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation);
}

/// <param name="Queue">The queue to send to; null to publish.</param>
/// <param name="Body">The message, of a type registered in <see cref="MessageTypes"/>.</param>
public sealed record OutboxMessage(
    Guid MessageId, Guid TenantId, string? Queue, object Body, Guid? CorrelationId, Guid? CausationId);

/// <summary>The permanent names of the messages that may stand in an outbox, with their JSON.</summary>
public sealed class MessageTypes(System.Text.Json.JsonSerializerOptions options, params IEnumerable<Type> types)
{
    public System.Text.Json.JsonSerializerOptions Options { get; } = options;
    public IReadOnlyDictionary<string, Type> ByName { get; } = types.ToDictionary(type => type.Name);
}
