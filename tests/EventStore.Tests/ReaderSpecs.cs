using System.Collections.Concurrent;
using Npgsql;
using static Platform.EventStore.Tests.Some;

namespace Platform.EventStore.Tests;

/// <summary>Readers lose nothing, repeat nothing and keep every stream's order, whatever the writers do.</summary>
public sealed class ReaderSpecs : IAsyncLifetime
{
    private World world = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => world = await World.Create();

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task A_lane_reader_loses_nothing_where_a_reader_by_sequence_number_does()
    {
        // Both readers follow the very same transactions, live: of different lengths, over several lanes, some rolled back.
        var followed = new Follower();
        await world.Process(subscriptions: followed).Start();
        await world.Process(subscriptions: followed).Start();
        using var naive = new NaiveReader(world);
        var naiveReading = naive.Follow();
        var writer = world.Process(projections: []);
        var tenants = Enumerable.Range(0, 24).Select(_ => Guid.CreateVersion7()).ToList();

        await Task.WhenAll(tenants.Select((tenant, seed) => Task.Run(() => WriteAtDifferentLengths(writer, tenant, seed))));
        var committed = await world.Ask<long>("select count(*) from ledger.events");
        await Until(() => followed.Events.Count >= committed);
        naive.StopAtTheEnd();
        await naiveReading;

        // Nothing lost, skipped, repeated or out of order, and no number missing in any lane.
        committed.ShouldBeGreaterThan(1_000);
        followed.Events.Count.ShouldBe((int)committed);
        followed.Events.GroupBy(recorded => recorded.Stream).ShouldAllBe(
            stream => stream.Select((recorded, i) => recorded.Version == i + 1).All(inOrder => inOrder));
        followed.Events.GroupBy(recorded => recorded.Position.Lane).ShouldAllBe(
            lane => lane.Select((recorded, i) => recorded.Position.Number == i + 1).All(inOrder => inOrder));
        followed.Events.Select(recorded => recorded.Position.Lane).Distinct().Count().ShouldBeGreaterThan(4);

        // The rows were there, committed, and it went past them.
        var missed = await world.Ask<long>("select count(*) from ledger.naive_log") - naive.Seen;
        TestContext.Current.TestOutputHelper?.WriteLine($"{committed} events; the reader by sequence number missed {missed}.");
        missed.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task A_page_that_fails_is_tried_again_and_nothing_is_skipped()
    {
        var follower = new Follower { FailuresLeft = 3 };
        var process = await world.Process(subscriptions: follower).Start();
        var account = Account();

        await process.Store.Append(WriteTo(account, 0, Opened(), Credited(1)), Cancellation);
        await process.Store.Append(WriteTo(account, 2, Credited(2)), Cancellation);
        await Until(() => follower.Events.Count == 3);

        follower.Events.Select(recorded => recorded.Version).ShouldBe([1, 2, 3]);
        follower.FailuresLeft.ShouldBe(0);
    }

    [Fact]
    public async Task An_effect_and_its_checkpoint_are_one_also_over_a_restart()
    {
        var account = Account();
        var process = await world.Process(projections: [], subscriptions: new Crediting()).Start();
        await process.Store.Append(WriteTo(account, 0, Credited(1), Credited(2)), Cancellation);
        await Until(async () => await world.Ask<long>("select count(*) from ledger.inbox") == 2);
        await process.Stop();

        await process.Store.Append(WriteTo(account, 2, Credited(3)), Cancellation);
        await world.Process(projections: [], subscriptions: new Crediting()).Start();
        await Until(async () => await world.Ask<long>("select count(*) from ledger.inbox") == 3);

        (await world.Ask<long>("select number from ledger.readers where name = 'subscription/crediting' and number > 0")).ShouldBe(3);
    }

    [Fact]
    public async Task A_subscription_publishes_in_the_transaction_of_its_checkpoint()
    {
        var broker = new Broker();
        var process = await world.Process(broker, projections: [], subscriptions: new Announcing { FailuresLeft = 2 }).Start();
        var tenants = Enumerable.Range(0, 10).Select(_ => Guid.CreateVersion7()).ToList();

        foreach (var tenant in tenants)
            await process.Store.Append(WriteTo(Account(tenant), 0, Credited(7)), Cancellation);
        await Until(() => broker.Received.Count >= tenants.Count);
        await Until(async () => await world.Ask<long>("select count(*) from ledger.outbox") == 0);

        broker.Received.Select(message => message.TenantId).ShouldBe(tenants, ignoreOrder: true);
    }

    [Fact]
    public async Task An_older_process_stops_before_an_event_it_does_not_know_and_leaves_it_to_a_newer_one()
    {
        var tenant = Guid.CreateVersion7();
        var note = new StreamId(tenant, "note", Guid.CreateVersion7());
        var newer = world.Process(projections: []);
        var (old, @new) = (new Follower(), new Follower());
        await newer.Store.Append(WriteTo(Account(tenant), 0, Opened()), Cancellation);
        var older = await world.OlderProcess([typeof(AccountEvent)], old).Start();
        await Until(() => old.Events.Count == 1);

        await newer.Store.Append(WriteTo(note, 0, new NoteEvent.Taken("new")), Cancellation);
        await newer.Store.Append(WriteTo(Account(tenant), 0, Opened()), Cancellation);
        await world.Process(projections: [], subscriptions: @new).Start();
        await Until(() => @new.Events.Count == 2);

        old.Events.Count.ShouldBe(1);
        @new.Events.Select(recorded => recorded.TypeName).ShouldBe(["note.taken.v1", "account.opened.v1"]);
        await older.Stop();
    }

    private static async Task WriteAtDifferentLengths(Process writer, Guid tenant, int seed)
    {
        var random = new Random(seed);
        var account = Account(tenant);
        var version = 0L;
        for (var i = 0; i < 40; i++)
        {
            var (events, fails) = (random.Next(1, 4), random.Next(10) == 0);
            var (before, after) = (random.Next(3), random.Next(6));
            try
            {
                await writer.Store.Transact(tenant, Cause.Unknown, async (transaction, stopping) =>
                {
                    await using (var log = new NpgsqlCommand(
                        $"insert into {writer.Schema}.naive_log (event_id) select gen_random_uuid() from generate_series(1, {events})",
                        transaction.Connection))
                    {
                        await log.ExecuteNonQueryAsync(stopping);
                    }
                    await Pause(before);
                    await transaction.Append(account, version, stopping, [.. Enumerable.Range(0, events).Select(_ => Credited(1))]);
                    await Pause(after);
                    return fails ? throw new TimeZoneNotFoundException() : 0;
                }, Cancellation);
                version += events;
            }
            catch (TimeZoneNotFoundException)
            {
                // Rolled back on purpose.
            }
        }
    }

    private static Task Pause(int milliseconds) =>
        milliseconds == 0 ? Task.CompletedTask : Task.Delay(TimeSpan.FromMilliseconds(milliseconds), TimeProvider.System, Cancellation);

    private sealed class Follower : Subscription
    {
        private readonly Lock failing = new();

        public int FailuresLeft { get; set; }
        public ConcurrentQueue<RecordedEvent> Events { get; } = [];

        public override string Name => "follower";
        public override bool Handles(Type eventType) => true;

        public override Task Handle(IReadOnlyList<RecordedEvent> page, SubscriptionContext context, CancellationToken cancellation)
        {
            lock (failing)
            {
                if (FailuresLeft > 0)
                {
                    FailuresLeft--;
                    throw new InvalidOperationException("Not yet.");
                }
            }
            foreach (var recorded in page)
                Events.Enqueue(recorded);
            return Task.CompletedTask;
        }
    }

    /// <summary>Leaves one row per event, whose key would refuse a second one.</summary>
    private sealed class Crediting : Subscription
    {
        public override string Name => "crediting";
        public override bool Handles(Type eventType) => eventType == typeof(AccountEvent.Credited);

        public override async Task Handle(IReadOnlyList<RecordedEvent> page, SubscriptionContext context, CancellationToken cancellation)
        {
            foreach (var recorded in page)
            {
                await using var effect = new NpgsqlCommand(
                    $"insert into {new NpgsqlConnectionStringBuilder(context.Connection.ConnectionString).ApplicationName}.inbox "
                    + "(tenant_id, consumer, message_id) values ($1, 'effect', $2)", context.Connection)
                {
                    Parameters =
                    {
                        new() { Value = recorded.Stream.TenantId },
                        new() { Value = new Guid((int)recorded.Version, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]) },
                    },
                };
                await effect.ExecuteNonQueryAsync(cancellation);
            }
        }
    }

    private sealed class Announcing : Subscription
    {
        private int failuresLeft;

        public int FailuresLeft { init => failuresLeft = value; }

        public override string Name => "announcing";
        public override bool Handles(Type eventType) => true;

        public override Task Handle(IReadOnlyList<RecordedEvent> page, SubscriptionContext context, CancellationToken cancellation)
        {
            foreach (var recorded in page)
                context.Publish(recorded.Stream.TenantId, new AccountCredited(recorded.Stream.Id, 7));
            return Interlocked.Decrement(ref failuresLeft) >= 0
                ? throw new InvalidOperationException("After publishing.")
                : Task.CompletedTask;
        }
    }

    /// <summary>Remembers the greatest number it saw and asks for what is greater.</summary>
    private sealed class NaiveReader(World world) : IDisposable
    {
        private readonly NpgsqlDataSource source = NpgsqlDataSource.Create(world.Options.ApplicationConnection);
        private volatile bool stop;

        public long Seen { get; private set; }

        public void StopAtTheEnd() => stop = true;

        public async Task Follow()
        {
            var last = 0L;
            while (true)
            {
                var ending = stop;
                await using var next = source.CreateCommand(
                    $"select number from {world.Schema}.naive_log where number > {last} order by number");
                await using var reader = await next.ExecuteReaderAsync(Cancellation);
                while (await reader.ReadAsync(Cancellation))
                {
                    last = reader.GetInt64(0);
                    Seen++;
                }
                if (ending)
                    return;
                await Pause(1);
            }
        }

        public void Dispose() => source.Dispose();
    }
}
