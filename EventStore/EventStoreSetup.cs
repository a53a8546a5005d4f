using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Platform.EventStore;

/// <summary>Where one process keeps its events.</summary>
/// <param name="Schema">The process's own schema: <c>billing</c>, <c>scheduler</c>.</param>
/// <param name="ApplicationConnection">Connects as the role that row-level security binds to one tenant at a time.</param>
/// <param name="SystemConnection">Connects as the role of background work, which sees every tenant.</param>
public sealed record EventStoreOptions(string Schema, string ApplicationConnection, string SystemConnection)
{
    public const short DefaultLanes = 8;

    /// <summary>Lanes of the log; fixed when the schema is created.</summary>
    public short Lanes { get; init; } = DefaultLanes;

    /// <summary>How long a claimed idempotency key is its holder's alone; longer than the longest request.</summary>
    public TimeSpan IdempotencyLease { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long an idempotency key is remembered.</summary>
    public TimeSpan IdempotencyRetention { get; init; } = TimeSpan.FromHours(48);
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
        public IServiceCollection AddEventStore(EventStoreOptions options, EventTypes events, MessageTypes messages)
        {
            services.TryAddSingleton(TimeProvider.System);
            return services
                .AddLogging()
                .AddSingleton(options)
                .AddSingleton(events)
                .AddSingleton(messages)
                .AddSingleton<Database>()
                .AddSingleton<Bell>()
                .AddSingleton<Serializer>()
                .AddSingleton<InlineProjections>()
                .AddSingleton<Appender>()
                .AddSingleton(provider => new EventStore(
                    provider.GetRequiredService<Database>(), events, provider.GetRequiredService<Serializer>(),
                    provider.GetRequiredService<Appender>(), provider.GetRequiredService<InlineProjections>(),
                    provider.GetRequiredService<Bell>(), provider.GetRequiredService<TimeProvider>()))
                .AddSingleton(provider => new Documents(
                    provider.GetRequiredService<Database>(), events, provider.GetRequiredService<TimeProvider>()))
                .AddSingleton(provider => new IdempotencyKeys(
                    provider.GetRequiredService<Database>(), options, provider.GetRequiredService<TimeProvider>()))
                .AddSingleton(provider => new Rebuild(
                    provider.GetRequiredService<Database>(), events, provider.GetServices<Projection>()))
                .AddSingleton<OutboxRelay>()
                .AddHostedService<BellListener>()
                .AddHostedService<BackgroundReaders>()
                .AddHostedService<IdempotencyCleanup>();
        }
    }
}
