namespace Platform.EventStore;

/// <summary>
/// A durable reader of all events, in lanes: within a lane nothing is lost, skipped or out of commit order. Its checkpoint
/// commits with its effects, and only one instance of the process reads a lane at a time.
/// </summary>
public abstract class Subscription
{
    /// <summary>Permanent: names the checkpoint.</summary>
    public abstract string Name { get; }

    public abstract bool Handles(Type eventType);

    /// <summary>Handles a page in a transaction of the system role; throwing rolls it back and tries again later.</summary>
    public abstract Task Handle(IReadOnlyList<RecordedEvent> page, SubscriptionContext context, CancellationToken cancellation);
}

/// <summary>The transaction of one page.</summary>
public sealed class SubscriptionContext
{
    private readonly Serializer serializer;
    private readonly List<PreparedMessage> messages = [];

    internal SubscriptionContext(Npgsql.NpgsqlConnection connection, Serializer serializer)
    {
        Connection = connection;
        this.serializer = serializer;
    }

    public Npgsql.NpgsqlConnection Connection { get; }

    /// <summary>Publishes through the outbox, with the tenant as its order.</summary>
    public void Publish(Guid tenantId, object message) => messages.Add(serializer.Prepare(tenantId, message));

    internal IReadOnlyList<PreparedMessage> Messages => messages;
}
