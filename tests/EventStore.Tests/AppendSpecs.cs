using static Platform.EventStore.Tests.Some;

namespace Platform.EventStore.Tests;

public sealed class AppendSpecs : IAsyncLifetime
{
    private World world = null!;
    private Process process = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        world = await World.Create();
        process = world.Process();
    }

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task What_was_appended_is_read_back_in_order_with_its_metadata()
    {
        var account = Account();
        var cause = new Cause(Guid.CreateVersion7(), Guid.CreateVersion7(), "key-1");

        var position = await process.Store.Append(
            new Write(account.TenantId, cause).Append(account, 0, Opened(), Credited(5)).Append(Account(account.TenantId), 0, Opened()),
            Cancellation);
        var read = await process.Store.Read(account, Cancellation);

        read.Select(recorded => recorded.Data).ShouldBe([Opened(), Credited(5)]);
        read.Select(recorded => recorded.Version).ShouldBe([1, 2]);
        read[1].TypeName.ShouldBe("account.credited.v1");
        (read[1].Metadata with { RecordedAt = default }).ShouldBe(
            new EventMetadata(default, cause.CorrelationId, cause.CausationId, "key-1"));
        position.ShouldBe(read[1].Position with { Number = read[1].Position.Number + 1 });
        (await process.Store.Read(account, Cancellation, afterVersion: 1)).ShouldBe([read[1]]);
    }

    [Fact]
    public async Task A_missing_stream_is_the_initial_state_at_version_0()
    {
        var loaded = await process.Store.Load<AccountState, AccountEvent>(Account(), Cancellation);

        loaded.ShouldBe(new Loaded<AccountState>(AccountState.Initial, 0));
        loaded.Exists.ShouldBeFalse();
    }

    [Fact]
    public async Task An_append_at_another_version_is_a_conflict_and_writes_nothing()
    {
        var account = Account();
        await process.Store.Append(WriteTo(account, 0, Opened()), Cancellation);

        foreach (var wrong in (long[])[0, 2])
        {
            (await Should.ThrowAsync<VersionConflictException>(
                process.Store.Append(WriteTo(account, wrong, Credited()), Cancellation))).Expected.ShouldBe(wrong);
        }

        (await process.Store.Read(account, Cancellation)).Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_write_to_several_streams_is_all_or_nothing()
    {
        var (good, stale) = (Account(), Account());
        stale = stale with { TenantId = good.TenantId };
        await process.Store.Append(WriteTo(stale, 0, Opened()), Cancellation);

        var conflict = await Should.ThrowAsync<VersionConflictException>(process.Store.Append(
            WriteTo(good, 0, Opened()).Append(stale, 0, Opened()).Publish(new AccountCredited(good.Id, 1)), Cancellation));

        conflict.Stream.ShouldBe(stale);
        (await process.Store.Read(good, Cancellation)).ShouldBeEmpty();
        (await world.Ask<long>("select count(*) from ledger.outbox")).ShouldBe(0);
    }

    [Fact]
    public async Task Two_hundred_concurrent_decisions_on_one_stream_are_all_kept()
    {
        var account = Account();

        await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() =>
            process.Store.Decide<AccountState, AccountEvent>(account, _ => [Credited(1)], Cause.Unknown, Cancellation))));

        (await process.Store.Load<AccountState, AccountEvent>(account, Cancellation)).ShouldBe(new(new AccountState(200, 200), 200));
    }

    [Fact]
    public async Task Of_two_writers_at_one_version_one_decides_again_and_sees_the_other()
    {
        var account = Account();
        var both = new Barrier(2);
        var seen = new List<long>();

        AccountEvent[] Decide(AccountState state)
        {
            lock (seen)
                seen.Add(state.Cents);
            if (state.Events == 0)
                both.SignalAndWait(TimeSpan.FromSeconds(10)).ShouldBeTrue();
            return [Credited(10)];
        }

        await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Task.Run(() => process.Store.Decide<AccountState, AccountEvent>(
            account, state => Decision.Accept<AccountEvent>(Decide(state)), Cause.Unknown, Cancellation))));

        seen.ShouldBe([0, 0, 10]);
        (await process.Store.Load<AccountState, AccountEvent>(account, Cancellation)).State.Cents.ShouldBe(20);
    }

    [Fact]
    public async Task A_refusal_and_an_empty_decision_write_nothing()
    {
        var account = Account();

        var refused = await process.Store.Decide<AccountState, AccountEvent>(
            account, _ => Refusal.Because("account.unknown", "There is none."), Cause.Unknown, Cancellation);
        var nothing = await process.Store.Decide<AccountState, AccountEvent>(account, _ => [], Cause.Unknown, Cancellation);

        (refused.Refusal?.Code).ShouldBe("account.unknown");
        nothing.ShouldBe(new(AccountState.Initial, 0, Refusal: null));
        (await process.Store.Read(account, Cancellation)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_bad_write_fails_alone_among_those_it_shares_a_commit_with()
    {
        // Opened first; then many at once, of which some are stale, some meet a projection that throws, and the rest is good.
        var tenant = Guid.CreateVersion7();
        var accounts = Enumerable.Range(0, 60).Select(_ => Account(tenant)).ToList();
        await Task.WhenAll(accounts.Select(account => process.Store.Append(WriteTo(account, 0, Opened()), Cancellation)));

        var outcomes = await Task.WhenAll(accounts.Select((account, i) => Task.Run(async () =>
        {
            try
            {
                await process.Store.Append(WriteTo(account, i % 5 == 1 ? 7 : 1, Credited(i % 5 == 2 ? -1 : 1)), Cancellation);
                return "kept";
            }
            catch (Exception error)
            {
                return error.GetType().Name;
            }
        })));

        outcomes.Select((outcome, i) => (outcome, i % 5)).ShouldAllBe(row => row.outcome == (
            row.Item2 == 1 ? nameof(VersionConflictException) : row.Item2 == 2 ? nameof(InvalidOperationException) : "kept"));
        (await world.Ask<long>("select count(*) from ledger.events where type = 'account.credited.v1'")).ShouldBe(36);
        (await world.Ask<decimal>("select sum((data->>'Cents')::numeric) from ledger.accounts")).ShouldBe(36);
    }

    [Fact]
    public async Task The_log_has_no_gap_and_its_clock_never_goes_back()
    {
        await Task.WhenAll(Enumerable.Range(0, 300).Select(i => Task.Run(async () =>
        {
            try
            {
                await process.Store.Append(WriteTo(Account(), i % 3 == 0 ? 1 : 0, Opened(), Credited()), Cancellation);
            }
            catch (VersionConflictException)
            {
                // Every third is stale on purpose: a loser must leave no hole.
            }
        })));

        (await world.Ask<long>("select count(*) from ledger.events")).ShouldBe(400);
        (await world.Ask<long>("select sum(number)::bigint from ledger.lanes")).ShouldBe(400);
        (await world.Ask<long>(
            """
            select count(*) from (
                select number - lag(number, 1, 0) over w as step, recorded_at < lag(recorded_at) over w as back
                from ledger.events window w as (partition by lane order by number)) steps
            where step <> 1 or back
            """)).ShouldBe(0);
    }

    [Fact]
    public async Task A_long_transaction_of_another_process_holds_up_its_own_lane_alone()
    {
        var (slow, tenants) = (Guid.CreateVersion7(), Enumerable.Range(0, 40).Select(_ => Guid.CreateVersion7()).ToList());
        var (holding, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        var transaction = world.Process().Store.Transact(slow, Cause.Unknown, async (_, _) =>
        {
            holding.SetResult();
            await release.Task;
            return 0;
        }, Cancellation);
        await holding.Task;

        // Enough of them that a commit of several lanes meets the held one.
        var delayed = process.Store.Append(WriteTo(Account(slow), 0, Opened()), Cancellation);
        var appends = tenants.Select(tenant => process.Store.Append(WriteTo(Account(tenant), 0, Opened()), Cancellation)).ToList();
        await Until(() => appends.Count(append => append.IsCompletedSuccessfully) >= 20);
        delayed.IsCompleted.ShouldBeFalse();

        release.SetResult();
        await transaction;
        var lane = (await delayed).Lane;
        (await Task.WhenAll(appends)).Count(position => position.Lane != lane).ShouldBeGreaterThan(20);
    }

    [Fact]
    public async Task Transactions_beside_each_other_share_a_lane_but_not_a_tenant()
    {
        var (one, other) = TwoOfOneLane();
        var stranger = world.Process();
        var release = new TaskCompletionSource();

        var (first, second) = (Hold(process, one), Hold(stranger, other));
        await Task.WhenAll(first.Begun, second.Begun);
        var (same, sameElsewhere) = (Hold(process, one), Hold(stranger, one));
        await Task.Delay(TimeSpan.FromMilliseconds(200), Cancellation);
        (same.Begun.IsCompleted || sameElsewhere.Begun.IsCompleted).ShouldBeFalse();

        release.SetResult();
        await Task.WhenAll(first.Ended, second.Ended, same.Ended, sameElsewhere.Ended);

        (Task Begun, Task<int> Ended) Hold(Process by, Guid tenant)
        {
            var begun = new TaskCompletionSource();
            return (begun.Task, by.Store.TransactBeside(tenant, async (_, _) =>
            {
                begun.SetResult();
                await release.Task;
                return 0;
            }, Cancellation));
        }
    }

    [Fact]
    public async Task Who_wants_a_lane_alone_waits_for_those_who_share_it_and_is_not_passed_by_more_of_them()
    {
        var (one, other) = TwoOfOneLane();
        List<string> order = [];
        var (begun, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        var sharing = process.Store.TransactBeside(one, async (_, _) =>
        {
            begun.SetResult();
            await release.Task;
            order.Add("shared");
            return 0;
        }, Cancellation);
        await begun.Task;

        var append = Then("append", process.Store.Append(WriteTo(Account(other), 0, Opened()), Cancellation));
        var alone = process.Store.Transact(other, Cause.Unknown, Note("alone"), Cancellation);
        var more = process.Store.TransactBeside(other, (_, _) => Note("more")(null, default), Cancellation);
        await Task.Delay(TimeSpan.FromMilliseconds(200), Cancellation);
        (append.IsCompleted || alone.IsCompleted || more.IsCompleted).ShouldBeFalse();

        release.SetResult();
        await Task.WhenAll(sharing, append, alone, more);
        order[0].ShouldBe("shared");
        order.IndexOf("more").ShouldBeGreaterThan(order.IndexOf("alone"));

        Func<EventTransaction?, CancellationToken, Task<int>> Note(string what) => (_, _) =>
        {
            lock (order)
                order.Add(what);
            return Task.FromResult(0);
        };

        async Task Then(string what, Task task)
        {
            await task;
            lock (order)
                order.Add(what);
        }
    }

    private (Guid One, Guid Other) TwoOfOneLane()
    {
        var one = Guid.CreateVersion7();
        return (one, Enumerable.Repeat(0, 1_000).Select(_ => Guid.CreateVersion7())
            .First(tenant => process.Store.LaneOf(tenant) == process.Store.LaneOf(one)));
    }

    [Fact]
    public async Task A_cancelled_caller_who_still_waits_writes_nothing()
    {
        var tenant = Guid.CreateVersion7();
        var account = Account(tenant);
        using var impatient = new CancellationTokenSource();
        var held = new TaskCompletionSource();
        var holding = process.Store.Transact(tenant, Cause.Unknown, async (_, _) =>
        {
            await held.Task;
            return 0;
        }, Cancellation);

        var leader = process.Store.Append(WriteTo(Account(tenant), 0, Opened()), Cancellation);
        var waiting = process.Store.Append(WriteTo(account, 0, Opened()), impatient.Token);
        await impatient.CancelAsync();

        await Should.ThrowAsync<OperationCanceledException>(waiting);
        held.SetResult();
        await holding;
        await leader;
        (await process.Store.Read(account, Cancellation)).ShouldBeEmpty();
    }
}
