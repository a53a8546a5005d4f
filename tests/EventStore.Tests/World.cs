using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Platform.Testing;

[assembly: AssemblyFixture(typeof(Platform.EventStore.Tests.OneDatabase))]

namespace Platform.EventStore.Tests;

/// <summary>The database of this test program; every test has a schema of its own in it.</summary>
public sealed class OneDatabase : IAsyncLifetime
{
    public static TestDatabase Database { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Database = await TestDatabase.Create(World.App, World.System);

    public ValueTask DisposeAsync() => Database.DisposeAsync();
}

/// <summary>A migrated schema of its own, and as many processes on it as a test starts.</summary>
public sealed class World : IAsyncDisposable
{
    public const string App = "eventstore_app";
    public const string System = "eventstore_system";
    private readonly List<IAsyncDisposable> processes = [];

    public static string Owner => OneDatabase.Database.Owner;

    public required EventStoreOptions Options { get; init; }

    public string Schema => Options.Schema;

    public static async Task<World> Create(TimeSpan? lease = null)
    {
        var schema = $"ledger_{Guid.CreateVersion7():n}";
        await Migrations.Run(Owner, schema, App, System, typeof(World).Assembly, TestContext.Current.CancellationToken);
        string As(string role) =>
            new NpgsqlConnectionStringBuilder(OneDatabase.Database.As(role)) { ApplicationName = schema }.ConnectionString;

        return new()
        {
            Options = new(schema, As(App), As(System))
            {
                IdempotencyLease = lease ?? TimeSpan.FromSeconds(60),
            },
        };
    }

    /// <summary>
    /// Cuts every connection of this test's processes, as a restart of the server does; not those of other tests.
    /// </summary>
    public Task<long> CutConnections() =>
        Ask<long>($"select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = '{Schema}'");

    /// <summary>A process of the system. Its background work runs only once <see cref="Process.Start"/> was called.</summary>
    public Process Process(IMessagePublisher? publisher = null, Projection[]? projections = null, params Subscription[] subscriptions)
    {
        var process = new Process(Options, publisher ?? new Broker(), projections ?? [new AccountViews(), new Balances()], subscriptions);
        processes.Add(process);
        return process;
    }

    /// <summary>A process of an older version, which knows only these event families.</summary>
    public Process OlderProcess(Type[] families, params Subscription[] subscriptions)
    {
        var process = new Process(Options, new Broker(), [], subscriptions, families);
        processes.Add(process);
        return process;
    }

    /// <summary>Runs SQL as the owner, or as a role; <c>ledger.</c> stands for the schema.</summary>
    public async Task<T> Ask<T>(string sql, string? role = null)
    {
        await using var source = NpgsqlDataSource.Create(role is null ? Owner : OneDatabase.Database.As(role));
        await using var command = source.CreateCommand(sql.Replace("ledger.", $"{Schema}.", StringComparison.Ordinal));
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in processes)
            await process.DisposeAsync();
    }
}

public sealed class Process : IAsyncDisposable
{
    private readonly ServiceProvider services;
    private bool started;

    public string Schema { get; }

    public Process(EventStoreOptions options, IMessagePublisher publisher, Projection[] projections, Subscription[] subscriptions,
        Type[]? families = null)
    {
        Schema = options.Schema;
        var collection = new ServiceCollection()
            .AddEventStore(
                options,
                new EventTypes(LedgerJson.Default.Options, families ?? [typeof(AccountEvent), typeof(NoteEvent)]),
                new MessageTypes(LedgerJson.Default.Options, typeof(AccountCredited)))
            .AddSingleton(publisher);
        foreach (var projection in projections)
            collection.AddSingleton(projection);
        foreach (var subscription in subscriptions)
            collection.AddSingleton(subscription);
        services = collection.BuildServiceProvider();
    }

    public EventStore Store => services.GetRequiredService<EventStore>();
    public Documents Documents => services.GetRequiredService<Documents>();
    public IdempotencyKeys Keys => services.GetRequiredService<IdempotencyKeys>();
    internal Serializer Serializer => services.GetRequiredService<Serializer>();
    internal Appender Appender => services.GetRequiredService<Appender>();
    public Rebuild Rebuild => services.GetRequiredService<Rebuild>();

    public async Task<Process> Start()
    {
        started = true;
        foreach (var service in services.GetServices<IHostedService>())
            await service.StartAsync(TestContext.Current.CancellationToken);
        return this;
    }

    public async Task Stop()
    {
        if (!started)
            return;
        started = false;
        foreach (var service in services.GetServices<IHostedService>().Reverse())
            await service.StopAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        await services.DisposeAsync();
    }
}

/// <summary>A broker in memory that remembers what it confirmed, and refuses when told to.</summary>
public sealed class Broker : IMessagePublisher
{
    private int refusals;

    public ConcurrentQueue<OutboxMessage> Received { get; } = [];

    /// <summary>Takes the first half of the next so many batches and then fails, as a broker does that dies.</summary>
    public void FailNext(int times) => Volatile.Write(ref refusals, times);

    public Task Publish(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation)
    {
        var fails = Interlocked.Decrement(ref refusals) >= 0;
        foreach (var message in messages.Take(fails ? (messages.Count + 1) / 2 : messages.Count))
            Received.Enqueue(message);
        return fails ? throw new InvalidOperationException("The broker went away.") : Task.CompletedTask;
    }
}

public static class Some
{
    public static StreamId Account(Guid? tenant = null) => new(tenant ?? Guid.CreateVersion7(), "account", Guid.CreateVersion7());

    public static AccountEvent Opened(string owner = "Ada") => new AccountEvent.Opened(owner);

    public static AccountEvent Credited(long cents = 100) => new AccountEvent.Credited(cents);

    public static Write WriteTo(StreamId stream, long expectedVersion, params object[] events) =>
        new Write(stream.TenantId, Cause.Unknown).Append(stream, expectedVersion, events);

    /// <summary>Waits until something is so; fails after 20 seconds.</summary>
    public static async Task Until(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!await condition())
        {
            patience.IsCancellationRequested.ShouldBeFalse("It did not happen within 20 seconds.");
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    public static Task Until(Func<bool> condition) => Until(() => Task.FromResult(condition()));
}
