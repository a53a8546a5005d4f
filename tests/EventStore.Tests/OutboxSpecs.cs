using static Platform.EventStore.Tests.Some;

namespace Platform.EventStore.Tests;

public sealed class OutboxSpecs : IAsyncLifetime
{
    private World world = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => world = await World.Create();

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task A_message_leaves_after_the_commit_with_its_cause_and_queue()
    {
        var broker = new Broker();
        var process = await world.Process(broker).Start();
        var account = Account();
        var cause = new Cause(Guid.CreateVersion7(), Guid.CreateVersion7(), "key-1");

        await process.Store.Append(
            new Write(account.TenantId, cause).Append(account, 0, Opened())
                .Publish(new AccountCredited(account.Id, 1)).Send("audit", new AccountCredited(account.Id, 2)),
            Cancellation);
        await Until(() => broker.Received.Count == 2);

        broker.Received.ShouldAllBe(message =>
            message.TenantId == account.TenantId && message.CorrelationId == cause.CorrelationId
            && message.CausationId == cause.CausationId && message.MessageId != Guid.Empty);
        broker.Received.Select(message => (message.Queue, message.Body)).ShouldBe(
            [(null, new AccountCredited(account.Id, 1)), ("audit", new AccountCredited(account.Id, 2))]);
        await Until(async () => await world.Ask<long>("select count(*) from ledger.outbox") == 0);
    }

    [Fact]
    public async Task A_rolled_back_transaction_leaves_neither_events_nor_messages()
    {
        var process = world.Process();
        var account = Account();

        await Should.ThrowAsync<TimeZoneNotFoundException>(process.Store.Transact<int>(
            account.TenantId, Cause.Unknown,
            async (transaction, stopping) =>
            {
                await transaction.Append(account, 0, stopping, Opened());
                transaction.Publish(new AccountCredited(account.Id, 1));
                throw new TimeZoneNotFoundException();
            },
            Cancellation));

        (await world.Ask<long>("select (select count(*) from ledger.events) + (select count(*) from ledger.outbox)")).ShouldBe(0);
    }

    [Fact]
    public async Task Two_relays_deliver_each_message_once_and_in_order()
    {
        var broker = new Broker();
        var (first, second) = (await world.Process(broker).Start(), await world.Process(broker).Start());
        var tenants = Enumerable.Range(0, 20).Select(_ => Guid.CreateVersion7()).ToList();

        await Task.WhenAll(tenants.Select(tenant => Task.Run(() => PublishInTurn(tenant, [first, second], count: 30))));
        await Until(() => broker.Received.Count >= tenants.Count * 30);
        await Until(async () => await world.Ask<long>("select count(*) from ledger.outbox") == 0);

        broker.Received.Count.ShouldBe(tenants.Count * 30);
        foreach (var tenant in tenants)
            OfTenant(broker, tenant).ShouldBe(Enumerable.Range(0, 30).Select(i => (long)i));
    }

    [Fact]
    public async Task A_broker_that_fails_gets_everything_again_in_order_and_under_the_same_ids()
    {
        var broker = new Broker();
        var process = world.Process(broker);
        var tenant = Guid.CreateVersion7();
        await PublishInTurn(tenant, [process], count: 10);

        broker.FailNext(times: 2);
        await process.Start();
        await Until(async () => await world.Ask<long>("select count(*) from ledger.outbox") == 0);

        // Half of the page twice, and then all of it.
        OfTenant(broker, tenant).ShouldBe([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        broker.Received.DistinctBy(message => message.MessageId).Count().ShouldBe(10);
    }

    [Fact]
    public async Task What_was_written_while_no_relay_ran_is_delivered_when_one_starts()
    {
        var broker = new Broker();
        var tenant = Guid.CreateVersion7();
        await PublishInTurn(tenant, [world.Process()], count: 3);

        await world.Process(broker).Start();

        await Until(() => broker.Received.Count == 3);
    }

    [Fact]
    public async Task Ten_redeliveries_of_a_message_have_one_effect()
    {
        var process = world.Process();
        var account = Account();
        var message = Guid.CreateVersion7();

        var effects = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() => process.Store.Transact(
            account.TenantId, Cause.Unknown,
            async (transaction, stopping) =>
            {
                if (!await transaction.TryReceive("crediting", message, stopping))
                    return false;
                await transaction.Decide<AccountState, AccountEvent>(account, _ => [Credited(5)], stopping);
                return true;
            },
            Cancellation))));

        effects.Count(effect => effect).ShouldBe(1);
        (await process.Store.Load<AccountState, AccountEvent>(account, Cancellation)).State.ShouldBe(new(5, 1));
    }

    [Fact]
    public async Task A_message_whose_handling_failed_is_handled_when_it_comes_again()
    {
        var process = world.Process();
        var (account, message) = (Account(), Guid.CreateVersion7());

        Task<bool> Handle(bool fails) => process.Store.Transact(
            account.TenantId, Cause.Unknown,
            async (transaction, stopping) =>
                await transaction.TryReceive("crediting", message, stopping) && (fails ? throw new TimeZoneNotFoundException() : true),
            Cancellation);

        await Should.ThrowAsync<TimeZoneNotFoundException>(Handle(fails: true));
        (await Handle(fails: false)).ShouldBeTrue();
        (await Handle(fails: false)).ShouldBeFalse();
    }

    [Fact]
    public async Task The_store_itself_is_refused_within_a_transaction_instead_of_waiting_for_ever()
    {
        var process = world.Process();
        var account = Account();

        await Should.ThrowAsync<InvalidOperationException>(process.Store.Transact(
            account.TenantId, Cause.Unknown,
            (_, stopping) => process.Store.Append(WriteTo(account, 0, Opened()), stopping), Cancellation));
        await Should.ThrowAsync<InvalidOperationException>(process.Store.Transact(
            account.TenantId, Cause.Unknown,
            (_, stopping) => process.Store.Read(account, stopping, asOf: NodaTime.Instant.FromUtc(2026, 1, 1, 0, 0)), Cancellation));
        (await process.Store.Append(WriteTo(account, 0, Opened()), Cancellation)).Number.ShouldBe(1);
    }

    private static async Task PublishInTurn(Guid tenant, Process[] processes, int count)
    {
        for (var i = 0; i < count; i++)
        {
            await processes[i % processes.Length].Store.Append(
                new Write(tenant, Cause.Unknown).Publish(new AccountCredited(tenant, i)), Cancellation);
        }
    }

    private static IEnumerable<long> OfTenant(Broker broker, Guid tenant) =>
        broker.Received.Where(message => message.TenantId == tenant).Select(message => ((AccountCredited)message.Body).Cents);
}
