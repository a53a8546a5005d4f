using Npgsql;

namespace Platform.EventStore;

/// <summary>Runs one <see cref="Subscription"/>.</summary>
internal sealed class SubscriptionReader(Subscription subscription, Database database, EventTypes events, Serializer serializer, Bell bell)
    : EventLaneReader(database, events)
{
    public override string Name => $"subscription/{subscription.Name}";

    protected override int PageEvents => 1_000;

    protected override bool Handles(Type eventType) => subscription.Handles(eventType);

    public override async Task<Visit> ReadPage(short lane, CancellationToken cancellation)
    {
        published.Value = [];
        var visit = await base.ReadPage(lane, cancellation);
        foreach (var rung in published.Value)
            bell.Ring(rung);
        return visit;
    }

    protected override async Task Handle(IReadOnlyList<RecordedEvent> page, NpgsqlConnection connection, CancellationToken cancellation)
    {
        var context = new SubscriptionContext(connection, serializer);
        await subscription.Handle(page, context, cancellation);

        // Outbox numbers are given under the lanes' locks; taken in one order, they cannot wait for each other in a ring.
        foreach (var lane in context.Messages.GroupBy(message => Database.LaneOf(message.TenantId)).OrderBy(lane => lane.Key))
        {
            var write = new PreparedWrite(Guid.CreateVersion7(), tenantId: default, Cause.Unknown) { Appends = [], Messages = [.. lane] };
            await AppendCommand.Execute(connection, Database, [lane.Key], [write], AppendMode.Within);
            published.Value!.Add(lane.Key);
        }
    }

    // Lanes that the page of this flow published to; rung once it has committed.
    private readonly AsyncLocal<HashSet<short>?> published = new();
}

/// <summary>Keeps one <see cref="ProjectionLifecycle.Async"/> projection.</summary>
internal sealed class ProjectionReader(Projection projection, Database database, EventTypes events)
    : EventLaneReader(database, events)
{
    public static string NameOf(Projection projection) => $"projection/{projection.Name}";

    public override string Name => NameOf(projection);

    protected override int PageEvents => 20_000;

    protected override bool Handles(Type eventType) => projection.Folds(eventType);

    protected override async Task Handle(
        IReadOnlyList<RecordedEvent> page, NpgsqlConnection connection, CancellationToken cancellation)
    {
        var tables = new ProjectionTables(connection, table => $"{Database.Schema}.\"{table}\"");
        await projection.Apply(page, tables, cancellation);
        await tables.Send(cancellation);
    }
}
