using System.Collections.Concurrent;
using static Platform.EventStore.Tests.Some;

namespace Platform.EventStore.Tests;

/// <summary>Connections die at any moment; nothing is lost and nothing happens twice.</summary>
public sealed class RecoverySpecs : IAsyncLifetime
{
    private World world = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => world = await World.Create();

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task Connections_cut_in_the_middle_of_appends_lose_and_double_nothing()
    {
        var process = world.Process();
        var acknowledged = new ConcurrentDictionary<StreamId, long>();
        using var stop = new CancellationTokenSource();
        var writers = Enumerable.Range(0, 12).Select(_ => Task.Run(async () =>
        {
            var account = Account();
            for (var version = 0L; !stop.IsCancellationRequested; version += 2)
            {
                // Expecting its own last version, each writer meets a conflict if an append of its own is lost or doubled.
                var position = await process.Store.Append(WriteTo(account, version, Credited(1), Credited(1)), Cancellation);
                position.Number.ShouldBeGreaterThan(0);
                acknowledged[account] = version + 2;
            }
        })).ToList();

        for (var cuts = 0; cuts < 15; cuts++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
            await world.CutConnections();
        }
        await stop.CancelAsync();
        await Task.WhenAll(writers);

        acknowledged.Count.ShouldBe(12);
        foreach (var (account, version) in acknowledged)
        {
            (await process.Store.Load<AccountState, AccountEvent>(account, Cancellation)).Version.ShouldBe(version);
            (await process.Documents.Find(
                account.TenantId, "accounts", account.Id, LedgerJson.Default.AccountView, Cancellation))!.Cents.ShouldBe(version);
        }
    }

    [Fact]
    public async Task Connections_cut_in_the_middle_of_transactions_lose_and_double_nothing()
    {
        var process = world.Process();
        var account = Account();
        using var stop = new CancellationTokenSource();
        var done = 0;
        var writers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                await process.Store.Transact(account.TenantId, Cause.Unknown, (transaction, stopping) =>
                    transaction.Decide<AccountState, AccountEvent>(account, _ => [Credited(1)], stopping), Cancellation);
                Interlocked.Increment(ref done);
            }
        })).ToList();

        for (var cuts = 0; cuts < 10; cuts++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
            await world.CutConnections();
        }
        await stop.CancelAsync();
        await Task.WhenAll(writers);

        (await process.Store.Load<AccountState, AccountEvent>(account, Cancellation)).Version.ShouldBe(done);
    }

    [Fact]
    public async Task A_write_that_was_committed_behind_a_lost_answer_is_recognised_as_its_own()
    {
        // The log as the lost commit left it: the writer's events are there, and the writer tries again.
        var account = Account();
        var process = world.Process(projections: []);
        var write = WriteTo(account, 0, Opened(), Credited(1));
        var prepared = process.Serializer.Prepare(write);

        var first = await process.Appender.Append(prepared, Cancellation);
        var again = await process.Appender.Append(prepared, Cancellation, uncertain: true);
        var stranger = process.Appender.Append(process.Serializer.Prepare(write), Cancellation, uncertain: true);

        again.ShouldBe(first);
        await Should.ThrowAsync<VersionConflictException>(stranger);
        (await process.Store.Read(account, Cancellation)).Count.ShouldBe(2);
    }

    [Fact]
    public async Task Background_work_goes_on_after_its_connections_were_cut()
    {
        var broker = new Broker();
        var process = await world.Process(broker).Start();
        var account = Account();
        await process.Store.Append(WriteTo(account, 0, Credited(1)).Publish(new AccountCredited(account.Id, 1)), Cancellation);
        await Until(() => broker.Received.Count == 1);

        await world.CutConnections();
        await process.Store.Append(WriteTo(account, 1, Credited(1)).Publish(new AccountCredited(account.Id, 2)), Cancellation);

        await Until(() => broker.Received.Any(message => message.Body is AccountCredited { Cents: 2 }));
        await Until(async () =>
            (await process.Documents.Find(account.TenantId, "balances", account.TenantId, LedgerJson.Default.Balance, Cancellation))?.Cents == 2);
    }
}
