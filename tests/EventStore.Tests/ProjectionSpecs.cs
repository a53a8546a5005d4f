using NodaTime;
using Npgsql;
using static Platform.EventStore.Tests.Some;

namespace Platform.EventStore.Tests;

public sealed class ProjectionSpecs : IAsyncLifetime
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
    public async Task An_inline_projection_shows_a_writer_its_own_write()
    {
        var account = Account();

        await process.Store.Append(WriteTo(account, 0, Opened("Ada"), Credited(3)), Cancellation);
        (await View(account)).ShouldBe(new AccountView("Ada", 3));
        await process.Store.Append(WriteTo(account, 2, Credited(4)), Cancellation);
        (await View(account)).ShouldBe(new AccountView("Ada", 7));
        await process.Store.Append(WriteTo(account, 3, new AccountEvent.Closed()), Cancellation);
        (await View(account)).ShouldBeNull();
    }

    [Fact]
    public async Task A_transaction_keeps_inline_projections_too()
    {
        var account = Account();

        await process.Store.Transact(account.TenantId, Cause.Unknown, async (transaction, stopping) =>
        {
            await transaction.Append(account, 0, stopping, Opened("Bob"));
            return await transaction.Decide<AccountState, AccountEvent>(account, _ => [Credited(1)], stopping);
        }, Cancellation);

        (await View(account)).ShouldBe(new AccountView("Bob", 1));
    }

    [Fact]
    public async Task Tenants_of_one_lane_share_a_transaction_that_is_all_of_theirs_or_none()
    {
        var accounts = Enumerable.Range(0, 200).Select(_ => Account()).GroupBy(account => process.Store.LaneOf(account.TenantId)).ToList();
        StreamId[] ours = [.. accounts[0].Take(3)];
        var stranger = accounts[1].First();
        Guid[] tenants = [.. ours.Select(account => account.TenantId)];

        await process.Store.Transact(tenants, Cause.Unknown, async (lane, stopping) =>
        {
            await Open(lane, stopping);
            // What one has appended since changes nothing of what the others see.
            await lane.Tenants[0].Append(ours[0], 2, stopping, Credited(1));
            (await lane.Tenants[2].Load<AccountState, AccountEvent>(ours[2], stopping)).State.Cents.ShouldBe(2);
            return true;
        }, Cancellation);

        (await Task.WhenAll(ours.Select(View))).ShouldBe([new("Ada", 1), new("Ada", 1), new("Ada", 2)]);
        (await world.Ask<long>("select count(distinct tenant_id) from ledger.outbox")).ShouldBe(3);

        // One that is stale undoes all.
        await Should.ThrowAsync<VersionConflictException>(process.Store.Transact(tenants, Cause.Unknown, async (lane, stopping) =>
        {
            await lane.Tenants[0].Append(ours[0], 3, stopping, Credited(5));
            await Open(lane, stopping);
            return true;
        }, Cancellation));
        (await View(ours[0])).ShouldBe(new AccountView("Ada", 1));

        await Should.ThrowAsync<ArgumentException>(process.Store.Transact(
            [.. tenants, stranger.TenantId], Cause.Unknown, (_, _) => Task.FromResult(true), Cancellation));

        Task Open(LaneTransaction lane, CancellationToken stopping)
        {
            foreach (var (tenant, account) in lane.Tenants.Zip(ours))
                tenant.Publish(new AccountCredited(account.Id, 1));
            return lane.Append(
                [.. lane.Tenants.Zip(ours).Select((it, cents) => (it.First, (IReadOnlyList<StreamAppend>)[new(it.Second, 0, [Opened("Ada"), Credited(cents)])]))],
                stopping);
        }
    }

    [Fact]
    public async Task What_several_ask_of_one_kind_is_one_statement_and_each_is_answered_for_itself()
    {
        StreamId[] accounts = [Account(), Account(), Account()];
        await process.Store.Append(WriteTo(accounts[0], 0, Opened("Ada"), Credited(7)), Cancellation);
        await process.Store.Append(WriteTo(accounts[2], 0, Opened("Bea")), Cancellation);
        var statements = 0;
        var query = new SharedQuery<StreamId, string>(
            $"""
            select place, type from unnest($1) with ordinality asked (stream_id, place)
            join {world.Schema}.events using (stream_id) order by version
            """,
            asked =>
            {
                statements++;
                return [new NpgsqlParameter<Guid[]> { TypedValue = [.. asked.Select(it => it.Id)] }];
            },
            row => row.GetString(1));

        await using var connection = new NpgsqlConnection(World.Owner);
        await connection.OpenAsync(Cancellation);
        var together = new RoundTrip(connection);
        var answers = accounts.Select(account => together.Ask(query, account)).ToList();
        var counts = accounts.Select(account => together.Ask(query, account, rows => rows.Count)).ToList();
        var between = together.Rows("select 1", row => row.GetInt32(0));
        Should.Throw<InvalidOperationException>(() => answers[0].Value);
        await together.Send(Cancellation);

        statements.ShouldBe(1);
        answers.Select(answer => answer.Value.Count).ShouldBe([2, 0, 1]);
        counts.Select(answer => answer.Value).ShouldBe([2, 0, 1]);
        between.Value.ShouldBe([1]);

        // What was sent is asked no more.
        var again = together.Ask(query, accounts[2]);
        await together.Send(Cancellation);
        again.Value.Count.ShouldBe(1);
    }

    [Fact]
    public async Task A_transaction_of_several_tenants_that_is_narrowed_to_one_shows_and_takes_its_rows_alone()
    {
        var accounts = Enumerable.Range(0, 200).Select(_ => Account()).GroupBy(account => process.Store.LaneOf(account.TenantId));
        StreamId[] ours = [.. accounts.First().Take(3)];
        foreach (var account in ours)
            await process.Store.Append(WriteTo(account, 0, Opened()), Cancellation);

        await process.Store.Transact([.. ours.Select(account => account.TenantId)], Cause.Unknown, async (lane, stopping) =>
        {
            var together = new RoundTrip(lane.Connection);
            (await Seen(together)).ShouldBe(Tenants(ours));

            lane.Narrow(together, lane.Tenants[1]);
            (await Seen(together)).ShouldBe(Tenants(ours[1]));

            // Sent together, each statement sees what was said before it.
            lane.Narrow(together, lane.Tenants[2]);
            var narrow = Ask(together);
            lane.Widen(together);
            (await Seen(together)).ShouldBe(Tenants(ours));
            narrow.Value.ShouldBe(Tenants(ours[2]));

            // Who appends sees all of them again: what is folded of several tenants is written at once.
            lane.Narrow(together, lane.Tenants[0]);
            await together.Send(stopping);
            await lane.Append([.. lane.Tenants.Zip(ours).Select(it => (it.First, Credit(it.Second)))], stopping);
            (await Seen(together)).ShouldBe(Tenants(ours));
            return true;
        }, Cancellation);
        (await Task.WhenAll(ours.Select(View))).ShouldAllBe(view => view!.Cents == 7);

        static IReadOnlyList<StreamAppend> Credit(StreamId account) => [new(account, 1, [Credited(7)])];

        Guid[] Tenants(params StreamId[] of) => [.. of.Select(account => account.TenantId).Order()];

        Answer<IReadOnlyList<Guid>> Ask(RoundTrip together) => together.Rows(
            $"select tenant_id from {world.Schema}.accounts order by tenant_id", row => row.GetGuid(0));

        async Task<IReadOnlyList<Guid>> Seen(RoundTrip together)
        {
            var seen = Ask(together);
            await together.Send(Cancellation);
            return seen.Value;
        }
    }

    [Fact]
    public async Task An_async_projection_catches_up_over_all_lanes_and_follows()
    {
        var tenants = Enumerable.Range(0, 20).Select(_ => Guid.CreateVersion7()).ToList();
        foreach (var tenant in tenants)
            await process.Store.Append(WriteTo(Account(tenant), 0, Opened(), Credited(1)), Cancellation);
        await process.Start();
        foreach (var tenant in tenants)
            await process.Store.Append(WriteTo(Account(tenant), 0, Opened(), Credited(10)), Cancellation);

        await Until(async () => await world.Ask<decimal>("select coalesce(sum((data->>'Cents')::numeric), 0) from ledger.balances") == 220);

        foreach (var tenant in tenants)
            (await process.Documents.Find(tenant, "balances", tenant, LedgerJson.Default.Balance, Cancellation)).ShouldBe(new(11));
    }

    [Fact]
    public async Task Documents_are_listed_in_pages_either_way_and_by_condition()
    {
        var tenant = Guid.CreateVersion7();
        var accounts = Enumerable.Range(0, 5).Select(_ => Account(tenant)).OrderBy(account => account.Id).ToList();
        for (var i = 0; i < accounts.Count; i++)
            await process.Store.Append(WriteTo(accounts[i], 0, Opened($"owner {i}"), Credited(i)), Cancellation);
        await process.Store.Append(WriteTo(Account(), 0, Opened("stranger")), Cancellation);

        async Task<string[]> Owners(int limit, Guid? after, bool newestFirst, string? where = null, params NpgsqlParameter[] parameters) =>
        [
            .. (await process.Documents.List(
                tenant, "accounts", LedgerJson.Default.AccountView, limit, after, newestFirst, Cancellation, where, parameters))
                .Select(row => row.View.Owner),
        ];

        (await Owners(2, after: null, newestFirst: false)).ShouldBe(["owner 0", "owner 1"]);
        (await Owners(9, after: accounts[1].Id, newestFirst: false)).ShouldBe(["owner 2", "owner 3", "owner 4"]);
        (await Owners(2, after: accounts[2].Id, newestFirst: true)).ShouldBe(["owner 1", "owner 0"]);
        (await Owners(9, null, false, "(data->>'Cents')::bigint >= @least", new NpgsqlParameter<long>("least", 3)))
            .ShouldBe(["owner 3", "owner 4"]);
        (await Owners(1, accounts[0].Id, false, "(data->>'Cents')::bigint <> $1", new NpgsqlParameter<long> { TypedValue = 1 }))
            .ShouldBe(["owner 2"]);
        (await process.Documents.ListAllTenants(
            "accounts", LedgerJson.Default.AccountView, limit: 9, after: null, newestFirst: false, Cancellation)).Count.ShouldBe(6);
    }

    [Fact]
    public async Task A_stream_and_a_view_are_read_as_they_were_known_at_an_instant()
    {
        var account = Account();
        await process.Store.Append(WriteTo(account, 0, Opened("Ada"), Credited(3)), Cancellation);
        var before = (await process.Store.Read(account, Cancellation))[0].Metadata.RecordedAt;
        await process.Store.Append(WriteTo(account, 2, Credited(4)), Cancellation);
        await process.Store.Append(WriteTo(Account(account.TenantId), 0, Opened("Eve")), Cancellation);

        (await process.Store.Load<AccountState, AccountEvent>(account, Cancellation, asOf: before)).ShouldBe(new(new(3, 2), 2));
        (await process.Store.Read(account, Cancellation, afterVersion: 1, asOf: before)).Count.ShouldBe(1);
        (await process.Documents.FindAsOf(new AccountViews(), account.TenantId, account.Id, before, Cancellation))
            .ShouldBe(new AccountView("Ada", 3));
        (await process.Documents.FindAsOf(
            new AccountViews(), account.TenantId, account.Id, before - Duration.FromMilliseconds(1), Cancellation)).ShouldBeNull();
        (await View(account)).ShouldBe(new AccountView("Ada", 7));
    }

    [Fact]
    public async Task A_read_as_of_now_waits_for_writers_whose_events_are_dated_before_it()
    {
        var account = Account();
        var appended = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        var writer = process.Store.Transact(account.TenantId, Cause.Unknown, async (transaction, stopping) =>
        {
            await transaction.Append(account, 0, stopping, Opened());
            appended.SetResult();
            await release.Task;
            return 0;
        }, Cancellation);
        await appended.Task;

        var now = Instant.FromDateTimeOffset(await world.Ask<DateTime>("select clock_timestamp()"));
        var asOf = process.Store.Read(account, Cancellation, asOf: now);
        var plain = await process.Store.Read(account, Cancellation);
        release.SetResult();
        await writer;

        plain.ShouldBeEmpty();
        (await asOf).Count.ShouldBe(1);
    }

    [Theory]
    [InlineData("accounts")]
    [InlineData("balances")]
    public async Task A_rebuild_under_load_equals_the_live_view(string projection)
    {
        await process.Start();
        await Task.WhenAll(Enumerable.Range(0, 300).Select(i =>
            process.Store.Append(WriteTo(Account(), 0, Opened($"owner {i}"), Credited(i)), Cancellation)));

        // Damage only a rebuild can mend.
        await world.Ask<int>($"with damaged as (update ledger.{projection} set data = data || '{{\"Cents\": -7}}' returning 1) select 1");
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var count = 0; ; count++)
            {
                if (stop.IsCancellationRequested)
                    return count;
                await process.Store.Append(WriteTo(Account(), 0, Opened(), Credited(1)), Cancellation);
            }
        })).ToList();

        for (var round = 0; round < 3; round++)
            (await process.Rebuild.Run(projection, Cancellation)).ShouldBeGreaterThanOrEqualTo(600);
        await stop.CancelAsync();
        (await Task.WhenAll(load)).Sum().ShouldBeGreaterThan(10);

        var expected = await world.Ask<decimal>("select sum((data->>'Cents')::numeric) from ledger.events");
        await Until(async () => await world.Ask<decimal>("select sum((data->>'Cents')::numeric) from ledger.balances") == expected
            || projection == "accounts");
        var live = await Content(projection);
        await process.Stop();
        await process.Rebuild.Run(projection, Cancellation);
        (await Content(projection)).ShouldBe(live);
        (await world.Ask<decimal>($"select sum((data->>'Cents')::numeric) from ledger.{projection}")).ShouldBe(expected);
    }

    [Fact]
    public async Task A_rebuilt_table_keeps_its_row_level_security_and_its_index_names()
    {
        var account = Account();
        await process.Store.Append(WriteTo(account, 0, Opened("Ada")), Cancellation);
        await process.Rebuild.Run("accounts", Cancellation);

        (await world.Ask<long>("select count(*) from ledger.accounts", World.App)).ShouldBe(0);
        (await View(account)).ShouldBe(new AccountView("Ada", 0));
        (await world.Ask<string>($"select string_agg(indexname, ',') from pg_indexes where schemaname = '{world.Schema}' and tablename = 'accounts'"))
            .ShouldBe("accounts_pkey");
    }

    private Task<AccountView?> View(StreamId account) =>
        process.Documents.Find(account.TenantId, "accounts", account.Id, LedgerJson.Default.AccountView, Cancellation);

    private Task<string> Content(string table) =>
        world.Ask<string>($"select md5(string_agg(t::text, ';' order by tenant_id, id)) from ledger.{table} t");
}
