using System.Reflection;
using Microsoft.Extensions.DependencyInjection;

namespace Platform.EventStore;

/// <summary>Where one process keeps its events.</summary>
/// <param name="Schema">The process's own schema: <c>billing</c>, <c>scheduler</c>.</param>
/// <param name="ApplicationConnection">Connects as the role that row-level security binds to one tenant at a time.</param>
/// <param name="SystemConnection">Connects as the role of background work, which sees every tenant.</param>
public sealed record EventStoreOptions(string Schema, string ApplicationConnection, string SystemConnection)
{
    /// <summary>Lanes of the log; fixed when the schema is created.</summary>
    public short Lanes { get; init; } = 8;
}

public static class EventStoreSetup
{
    extension(IServiceCollection services)
    {
        /// <summary>
        /// Registers <see cref="EventStore"/>, <see cref="Documents"/>, <see cref="IdempotencyKeys"/> and the background
        /// readers. Add projections and subscriptions as singletons of <see cref="Projection"/> and <see cref="Subscription"/>,
        /// and an <see cref="IMessagePublisher"/>, before the host starts.
        /// </summary>
        public IServiceCollection AddEventStore(EventStoreOptions options, EventTypes events, MessageTypes messages) =>
            throw new NotImplementedException();
    }
}

/// <summary>
/// Versioned migrations: SQL files embedded as <c>Migrations/NNNN_name.sql</c>, run once each, in order, in one transaction
/// each, under a lock; a file that changed after it ran is an error. In SQL, <c>{schema}</c>, <c>{app_role}</c> and
/// <c>{system_role}</c> stand for the schema and its roles.
/// </summary>
public static class Migrations
{
    /// <summary>Runs the event store's own migrations and then those of <paramref name="assembly"/>, as the owner.</summary>
    /// <param name="ownerConnection">Connects as the owner of the schema, which no running process uses.</param>
    public static Task Run(
        string ownerConnection, string schema, string applicationRole, string systemRole, Assembly? assembly,
        CancellationToken cancellation) => throw new NotImplementedException();
}
