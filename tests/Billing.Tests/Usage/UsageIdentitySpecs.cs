using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Npgsql;
using Platform.Billing.Tests.Http;
using Platform.Billing.Usage;
using static Platform.Billing.Tests.Usage.UsageConflictSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>An event is (tenant, source, id), whoever sends it, how often, in whatever company and by whatever way.</summary>
public sealed class UsageIdentitySpecs(BillingHost billing)
{
    private const int Clients = 16;

    [Fact]
    public async Task Sixteen_clients_at_once_over_months_and_ways_in_count_each_event_once()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        using var worker = new WorkerUsage(tenant.Id, billing.Clock.Now - Duration.FromHours(1));
        await billing.Bus.Publish(worker.Registered, BillingHost.Cancellation);
        await billing.Bus.Publish(worker.Placed, BillingHost.Cancellation);
        var signed = Enumerable.Range(1, 10).Select(_ => worker.Next(milliseconds: 1_000, calls: 3)).ToList();
        // Over thirteen months, ids with and without a time of their own.
        var events = Enumerable.Range(0, 400).Select(i => Call(
            i % 2 == 0 ? $"{Guid.CreateVersion7()}" : $"call-{i}", calls: 1,
            InstantPattern.ExtendedIso.Format(billing.Clock.Now - Duration.FromDays(i % 390)))).ToList();

        var accepted = await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(async () =>
        {
            foreach (var batch in signed)
                await billing.Bus.Publish(batch, BillingHost.Cancellation);
            return await Report(tenant, client, Shuffled(events, seed: client));
        })));

        accepted.Sum().ShouldBe(events.Count);
        await BillingHost.Eventually(async () => await billing.Count("usage_batches", tenant.Id) == signed.Count, "the batches are taken");
        (await billing.Count("usage_events", tenant.Id)).ShouldBe(events.Count + 2 * signed.Count);
        (await billing.Count("usage_identities", tenant.Id)).ShouldBe(events.Count + 2 * signed.Count);
        (await Total(tenant, catalog.Calls)).ShouldBe($"{events.Count + 3 * signed.Count}");
        (await billing.Count("usage_conflicts", tenant.Id)).ShouldBe(0);
    }

    [Fact]
    public async Task The_same_id_in_another_month_is_a_conflict_for_all_who_send_it_but_one()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        string[] months = ["2025-06-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"];

        var answers = await Task.WhenAll(Enumerable.Range(0, Clients).Select(client =>
            tenant.Partner.Post("/v1/usage/events", Call("one", 1, months[client % months.Length]))));

        answers.Count(answer => answer.Status == 200 && answer.Json.GetProperty("accepted").GetInt32() == 1).ShouldBe(1);
        answers.Count(answer => answer.Status == 200).ShouldBe(Clients / months.Length, "who sent what was taken has a duplicate");
        answers.Count(answer => answer.Status == 409).ShouldBe(Clients - Clients / months.Length);
        (await Total(tenant, catalog.Calls)).ShouldBe("1");
        (await billing.Count("usage_conflicts", tenant.Id)).ShouldBe(months.Length - 1);
    }

    [Fact]
    public async Task A_delivery_that_cannot_be_stored_spoils_no_other_that_shares_its_commit()
    {
        var intake = billing.Services.GetRequiredService<UsageIntake>();
        var tenants = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => billing.NewTenant()));

        var takings = Enumerable.Range(0, 200).Select(i => intake.Take(
            new(tenants[i % tenants.Length].Id.Value, [OneCall($"{i}{(i == 100 ? "\0" : "")}")], AttemptId: null, "test"),
            BillingHost.Cancellation)).ToList();

        for (var i = 0; i < takings.Count; i++)
        {
            if (i == 100)
                await takings[i].ShouldThrowAsync<PostgresException>();
            else
                (await takings[i]).ShouldBe([UsageOutcome.Accepted]);
        }

        var counts = await Task.WhenAll(tenants.Select(tenant => billing.Count("usage_events", tenant.Id)));
        counts.Sum().ShouldBe(199);
    }

    [Fact]
    public void Keys_of_ids_that_hold_their_time_are_in_its_order_and_no_two_identities_share_one()
    {
        var ids = Enumerable.Range(0, 100)
            .Select(i => Guid.CreateVersion7(DateTimeOffset.UnixEpoch.AddYears(55).AddMilliseconds(i)).ToString()).ToList();
        var ulids = Enumerable.Range(0, 100).Select(i => $"01HF7YAT{i:00}TSV4RRFFQ69G5FAV").ToList();

        foreach (var ordered in (List<string>[])[ids, ulids])
        {
            var keys = ordered.Select(id => UsageIdentity.Key("test", id).ToString()).ToList();
            keys.ShouldBe(keys.Order(StringComparer.Ordinal));
        }

        string[] alike = ["a", "aa", ids[0], ids[0].ToUpperInvariant(), ulids[0], ulids[0].ToLowerInvariant(), $"{ids[0]} "];
        alike.SelectMany(source => alike.Select(id => UsageIdentity.Key(source, id))).ShouldBeUnique();
        UsageIdentity.Key("test", "1").ShouldBe(new Guid("7bd3eec6-7acd-2bc8-d9fe-729c3109f34e"), "it stands in databases");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(300)]
    public async Task However_many_repeats_are_among_what_is_new_each_is_told_and_another_tenants_equal_ids_are_new(int repeats)
    {
        var intake = billing.Services.GetRequiredService<UsageIntake>();
        var (mine, other) = (await billing.NewTenant(), await billing.NewTenant());
        var events = Enumerable.Range(0, 600).Select(_ => Event($"{Guid.CreateVersion7()}", calls: "1")).ToList();
        await intake.Take(Of(mine, events[..repeats]), BillingHost.Cancellation);

        var again = intake.Take(Of(mine, events), BillingHost.Cancellation);
        var others = intake.Take(Of(other, events), BillingHost.Cancellation);
        var changed = await intake.Take(Of(mine, [events[0], Event(events[0].Id, calls: "2")]), BillingHost.Cancellation);

        (await again).Count(outcome => outcome == UsageOutcome.Duplicate).ShouldBe(repeats);
        (await again).Count(outcome => outcome == UsageOutcome.Accepted).ShouldBe(events.Count - repeats);
        (await others).ShouldAllBe(outcome => outcome == UsageOutcome.Accepted);
        changed.ShouldBe([UsageOutcome.Duplicate, UsageOutcome.Conflict]);
        (await billing.Count("usage_events", mine.Id)).ShouldBe(events.Count);
        (await billing.Count("usage_events", other.Id)).ShouldBe(events.Count);

        static UsageDelivery Of(TestTenant tenant, IReadOnlyList<UsageEvent> events) => new(tenant.Id.Value, events, AttemptId: null, "test");

        static UsageEvent Event(string id, string calls) => new(
            "test", id, "inference.call", Subject: null, Instant.FromUtc(2026, 3, 9, 11, 0), new Dictionary<string, string> { ["calls"] = calls });
    }

    [Fact]
    public async Task Repeats_and_conflicts_far_apart_in_one_request_are_told_from_what_is_new()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        var events = Enumerable.Range(0, 2_500).Select(i => Call($"call-{i}", calls: 1)).ToList();

        var answer = await tenant.Partner.Post(
            "/v1/usage/events", (object[])[.. events, Call("call-0", calls: 1), Call("call-2499", calls: 1), Call("call-1", calls: 2)]);

        answer.Json.GetProperty("accepted").GetInt32().ShouldBe(events.Count);
        answer.Json.GetProperty("duplicates").GetInt32().ShouldBe(2);
        answer.Json.GetProperty("conflicts").GetInt32().ShouldBe(1);
        (await Total(tenant, catalog.Calls)).ShouldBe($"{events.Count}");
        (await billing.Count("usage_conflicts", tenant.Id)).ShouldBe(1);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(12, 5)]   // fewer than are looked at one by one
    [InlineData(90, 30)]  // more
    public async Task Old_events_among_many_new_ones_are_known_again_wherever_they_come(int repeats, int changed)
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        // Ids that begin with their time: years before and after the new ones, and among them.
        string[] old = [.. Enumerable.Range(0, repeats + changed).Select(i => Id(2000 + i % 40, i % 7))];
        await tenant.Partner.Post("/v1/usage/events", old.Select(id => Call(id, calls: 1)).ToArray());

        var sent = old.Select((id, i) => Call(id, calls: i < repeats ? 1 : 2))
            .Concat(Enumerable.Range(0, 900).Select(i => Call(Id(2024, i % 60), calls: 1)));
        var answer = (await tenant.Partner.Post("/v1/usage/events", Shuffled([.. sent], seed: repeats).ToArray())).Json;

        answer.GetProperty("accepted").GetInt32().ShouldBe(900);
        answer.GetProperty("duplicates").GetInt32().ShouldBe(repeats);
        answer.GetProperty("conflicts").GetInt32().ShouldBe(changed);
        (await Total(tenant, catalog.Calls)).ShouldBe($"{900 + old.Length}");

        static string Id(int year, int second) => $"{Guid.CreateVersion7(new(year, 1, 1, 0, 0, second, TimeSpan.Zero))}";
    }

    [Fact]
    public async Task Who_holds_one_tenants_lane_cannot_take_usage_for_another()
    {
        var (mine, other) = (await billing.NewTenant(), await billing.NewTenant());
        var store = billing.Services.GetRequiredService<EventStore.EventStore>();

        var refused = await Should.ThrowAsync<PostgresException>(() => store.Together(
            [mine.Id.Value],
            batch => batch.BatchCommands.Add(new(
                $"""
                select billing.take_usage(
                    array['{mine.Id}', '{other.Id}']::uuid[], array[gen_random_uuid(), gen_random_uuid()],
                    array[gen_random_uuid(), gen_random_uuid()], array[now(), now()], array[null, null]::uuid[], array['', '']::bytea[],
                    array['test', 'test'], array['1', '2'], array['inference.call', 'inference.call'], array[null, null]::text[],
                    array['{"{}"}', '{"{}"}']::jsonb[], now(),
                    array[]::uuid[], array[]::uuid[], array[]::uuid[])
                """)),
            reader => reader.ReadAsync(),
            BillingHost.Cancellation));

        refused.SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
        (await billing.Count("usage_identities", mine.Id)).ShouldBe(0);
    }

    [Theory]
    [InlineData("usage_log", "position, time, received_at, content_hash, source, id, type, data", "1\tnow\tnow\t\ttest\t1\tcall\t{}")]
    [InlineData(
        "usage_identity_log", "key, content, time, position",
        "018f0000-0000-7000-8000-000000000000\t018f0000-0000-7000-8000-000000000000\tnow\t1")]
    public async Task Who_writes_a_log_cannot_name_a_tenant(string log, string columns, string row)
    {
        var store = billing.Services.GetRequiredService<EventStore.EventStore>();
        var (mine, other) = (await billing.NewTenant(), await billing.NewTenant());

        (await Refused(Begin(mine), Copy($"tenant_id, {columns}", $"{other.Id}\t{row}"))).ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
        (await Refused(Copy(columns, row))).ShouldBe(PostgresErrorCodes.NotNullViolation);
        (await Refused(Begin(mine), Run($"insert into billing.{log} default values"))).ShouldBe(PostgresErrorCodes.FeatureNotSupported);
        (await Refused(Run($"select from billing.{log}"))).ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
        (await Refused(Begin(other))).ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
        foreach (var table in new[] { "usage_events", "usage_identities" })
            (await billing.Count(table, mine.Id) + await billing.Count(table, other.Id)).ShouldBe(0);

        async Task<string> Refused(params Func<NpgsqlConnection, Task>[] steps) =>
            (await Should.ThrowAsync<PostgresException>(() => store.TransactBeside(
                mine.Id.Value,
                async (connection, _) =>
                {
                    foreach (var step in steps)
                        await step(connection);
                    return true;
                },
                BillingHost.Cancellation))).SqlState;

        static Func<NpgsqlConnection, Task> Begin(TestTenant tenant) =>
            Run($"select billing.begin_usage_copy('{tenant.Id}', array[gen_random_uuid()], array[]::uuid[], array[]::uuid[])");

        static Func<NpgsqlConnection, Task> Run(string sql) => async connection =>
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(BillingHost.Cancellation);
        };

        Func<NpgsqlConnection, Task> Copy(string named, string copied) => async connection =>
        {
            await using var copy = await connection.BeginTextImportAsync($"copy billing.{log} ({named}) from stdin", BillingHost.Cancellation);
            await copy.WriteLineAsync(copied);
        };
    }

    [Fact]
    public async Task A_copy_is_its_own_tenants_whoever_copied_before_on_the_connection()
    {
        var store = billing.Services.GetRequiredService<EventStore.EventStore>();
        var tenants = new[] { await billing.NewTenant(), await billing.NewTenant() };

        foreach (var tenant in tenants.Concat(tenants))
        {
            var events = Enumerable.Range(0, UsageDelivery.LargeFrom).Select(_ => OneCall($"{Guid.CreateVersion7()}")).ToList();
            await UsageLedger.Append(
                store, [new(tenant.Id.Value, events, AttemptId: null, "test")], billing.Clock.Now, BillingHost.Cancellation);
        }

        foreach (var tenant in tenants)
        {
            (await billing.Count("usage_identities", tenant.Id)).ShouldBe(2 * UsageDelivery.LargeFrom);
            (await billing.Count("usage_events", tenant.Id)).ShouldBe(2 * UsageDelivery.LargeFrom);
        }
    }

    [Fact]
    public async Task A_caller_who_blocks_once_it_is_answered_holds_up_no_other_delivery()
    {
        var intake = billing.Services.GetRequiredService<UsageIntake>();
        var tenant = await billing.NewTenant();
        var blocks = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var othersDone = new ManualResetEventSlim();

        var blocked = Take("first").ContinueWith(
            taking =>
            {
                blocks.SetResult();
                othersDone.Wait(BillingHost.Cancellation);
                return taking.Result;
            },
            BillingHost.Cancellation, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        await blocks.Task;
        for (var i = 0; i < 5; i++)
            (await Take($"{i}")).ShouldBe([UsageOutcome.Accepted]);
        othersDone.Set();

        (await blocked).ShouldBe([UsageOutcome.Accepted]);

        Task<IReadOnlyList<UsageOutcome>> Take(string id) =>
            intake.Take(new(tenant.Id.Value, [OneCall(id)], AttemptId: null, "test"), BillingHost.Cancellation);
    }

    [Fact]
    public async Task Deliveries_of_every_size_from_many_tenants_at_once_are_all_taken()
    {
        var intake = billing.Services.GetRequiredService<UsageIntake>();
        var tenants = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => billing.NewTenant()));
        int[] sizes = [1, 300, 3, 70, 5_000, 1, 255, 256, 40];

        var takings = Enumerable.Range(0, 90).Select(i => (
            Spoilt: i == 46,
            Taking: intake.Take(
                new(
                    tenants[i % tenants.Length].Id.Value,
                    [.. Enumerable.Range(0, sizes[i % sizes.Length]).Select(n => new UsageEvent(
                        "test", $"{i}.{n}{(i == 46 && n == 200 ? "\0" : "")}", "inference.call", n % 2 == 0 ? null : "käufer/1",
                        Instant.FromUtc(2026, 3, 9, 11, 0) + Duration.FromMilliseconds(n),
                        new Dictionary<string, string> { ["calls"] = "1", ["größe"] = "\"10\" €" }))],
                    AttemptId: null, "test"),
                BillingHost.Cancellation))).ToList();

        foreach (var (spoilt, taking) in takings)
        {
            if (spoilt)
                await taking.ShouldThrowAsync<PostgresException>();
            else
                (await taking).ShouldAllBe(outcome => outcome == UsageOutcome.Accepted);
        }

        var counts = await Task.WhenAll(tenants.Select(tenant => billing.Count("usage_events", tenant.Id)));
        counts.Sum().ShouldBe(10 * sizes.Sum() - sizes[46 % sizes.Length]);
        var kept = await billing.Strings(
            $"""
            select distinct concat_ws('|', source, type, coalesce(subject, '-'), data, extract(milliseconds from time) = split_part(id, '.', 2)::int % 60000)
            from billing.usage_events where tenant_id = any('{"{"}{string.Join(',', tenants.Select(it => it.Id))}{"}"}')
            """);
        kept.ShouldBe(
            [
                """test|inference.call|-|{"calls": "1", "größe": "\"10\" €"}|t""",
                """test|inference.call|käufer/1|{"calls": "1", "größe": "\"10\" €"}|t""",
            ],
            ignoreOrder: true);
    }

    private static UsageEvent OneCall(string id) => new(
        "test", id, "inference.call", Subject: null, Instant.FromUtc(2026, 3, 9, 11, 0), new Dictionary<string, string> { ["calls"] = "1" });

    /// <summary>Every other client sends small batches, the others streams.</summary>
    private async Task<int> Report(TestTenant tenant, int client, List<object> events)
    {
        if (client % 2 == 0)
        {
            var accepted = 0;
            foreach (var batch in events.Chunk(1 + client * 3))
                accepted += (await tenant.Partner.Post("/v1/usage/events", batch)).Json.GetProperty("accepted").GetInt32();
            return accepted;
        }

        using var http = billing.Http(tenant.Partner.Key);
        using var lines = new StringContent(string.Join('\n', events.Select(it => JsonSerializer.Serialize(it))));
        lines.Headers.ContentType = new MediaTypeHeaderValue("application/x-ndjson");
        using var answer = await http.PostAsync("/v1/usage/events", lines, BillingHost.Cancellation);
        var text = await answer.Content.ReadAsStringAsync(BillingHost.Cancellation);
        return text.Split('\n').Count(line => line.Contains("\"accepted\"", StringComparison.Ordinal));
    }

    private static List<object> Shuffled(List<object> events, int seed)
    {
        var shuffled = events.ToArray();
        new Random(seed).Shuffle(shuffled);
        return [.. shuffled];
    }
}
