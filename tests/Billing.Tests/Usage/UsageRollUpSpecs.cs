using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.DependencyInjection;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using Platform.Billing.Usage;
using static Platform.Billing.Tests.Usage.MeterHistory;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>Sums by hour beside the ledger that they are made of. They concern all tenants, so this class has a host of its own.</summary>
public sealed class UsageRollUpSpecs(OwnBillingHost billing) : IClassFixture<OwnBillingHost>
{
    private static readonly string[] Additive = ["sum", "count", "average"];
    private static readonly Instant Now = Instant.FromUtc(2026, 3, 10, 12, 0);

    private RollUpUsage RollUp => billing.Services.GetRequiredService<RollUpUsage>();

    private async Task RollUpNow(TestTenant tenant, string type) => await RollUp.RollUp(
        tenant.Id, type, await RollUp.MetersOf([type], BillingHost.Cancellation), BillingHost.Cancellation);

    /// <param name="Kind">0 sends, 1 voids, 2 amends, 3 rolls up what there is, 4 sends so many that they are rolled up as they are taken.</param>
    /// <param name="Minutes">Before now, over months.</param>
    public sealed record Step(int Kind, int Id, string Value, int Minutes, string? Region);

    [Fact]
    public void Numbers_of_roll_ups_are_those_of_the_events_and_a_rebuild_changes_no_row()
    {
        var step =
            from kind in Gen.Frequency((10, Gen.Constant(0)), (2, Gen.Constant(1)), (3, Gen.Constant(2)), (2, Gen.Constant(3)), (1, Gen.Constant(4)))
            from id in Gen.Choose(1, 30)
            from value in Gen.Elements("0", "0.1", "2.50", "999999999999999.000000001", "abc", "")
            from minutes in Gen.OneOf(Gen.Choose(1, 100 * 1440), Gen.Choose(1, 2000))
            from region in Gen.Elements("eu", "us", null)
            select new Step(kind, id, value, minutes, region);
        var zone = Gen.Elements("Etc/UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe");
        var seed = (ulong)System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"FsCheck seed ({seed},1)");

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(6).WithReplay(new Replay(new Rnd(seed, 1), null)),
            Prop.ForAll(Gen.Zip(zone, step.ListOf(50)).ToArbitrary(), it => Run(it.Item1, [.. it.Item2]).GetAwaiter().GetResult()));
    }

    [Fact]
    public async Task A_number_of_whole_hours_is_read_from_the_roll_ups_and_parts_of_hours_from_events()
    {
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        var meter = await Define(billing, type, "sum");
        await Send(tenant, type, "1", Now - Duration.FromMinutes(90), "2");
        await RolledUp(billing);
        await billing.Execute($"update billing.usage_rollups set quantity = quantity + 40 where tenant_id = '{tenant.Id}'");

        (await UsageOf(tenant, meter, "2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z")).GetProperty("total").GetString().ShouldBe("42");
        (await UsageOf(tenant, meter, "2026-03-10T10:00:01Z", "2026-03-10T11:00:00Z")).GetProperty("total").GetString().ShouldBe("2");

        await RollUp.Rebuild(BillingHost.Cancellation);
        (await UsageOf(tenant, meter, "2026-03-10T10:00:00Z", "2026-03-10T11:00:00Z")).GetProperty("total").GetString().ShouldBe("2");
    }

    [Fact]
    public async Task A_new_meter_and_a_new_version_are_rolled_up_over_old_events()
    {
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        await Send(tenant, type, "1", Now - Duration.FromDays(60), "2");
        await Send(tenant, type, "2", Now - Duration.FromHours(3), "3.5");
        await RolledUp(billing);
        (await Rows(tenant)).Length.ShouldBe(2, "of the counting meter alone");

        var meter = await Define(billing, type, "sum");
        await RolledUp(billing);
        (await Rows(tenant)).Length.ShouldBe(4);
        await Send(tenant, type, "3", Now - Duration.FromHours(3), "1");
        await RolledUp(billing);

        (await Rows(tenant)).ShouldContain(row => row.Contains("|4.5|2|2", StringComparison.Ordinal));
        (await UsageOf(tenant, meter, "2026-01-01T00:00:00Z", "2026-03-10T12:00:00Z", "&window=month")).GetProperty("total").GetString()
            .ShouldBe("6.5");
    }

    [Fact]
    public async Task Many_rollers_at_once_beside_writers_count_every_event_once()
    {
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        await BesideRollers(4, tenant, type, writers: 4, async writer =>
        {
            for (var i = 0; i < 15; i++)
                await Send(tenant, type, $"{writer}.{i}", Now - Duration.FromHours(1), "1");
        });

        (await Rows(tenant)).ShouldHaveSingleItem().ShouldEndWith("|0|60|0");
    }

    [Fact]
    public async Task The_watermark_is_shown_and_follows_the_ledger()
    {
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        await Send(tenant, type, "1", Now - Duration.FromHours(1), "1");

        await BillingHost.Eventually(
            async () => await Shown() is var shown && shown.GetProperty("position").GetInt64() == shown.GetProperty("ledger_position").GetInt64(),
            "the watermark is where the ledger is");
        var reached = await Shown();
        reached.GetProperty("event_type").GetString().ShouldBe(type);
        reached.GetProperty("reached_at").GetString().ShouldBe("2026-03-10T12:00:00Z");
        (await Send(tenant, type, "1", Now - Duration.FromHours(1), "1")).GetProperty("duplicates").GetInt32().ShouldBe(1);
        (await Shown()).GetProperty("ledger_position").GetInt64().ShouldBe(reached.GetProperty("ledger_position").GetInt64());
        (await (await billing.NewTenant()).Viewer.Get("/v1/usage/rollups")).Json.GetProperty("items").GetArrayLength().ShouldBe(0);

        async Task<JsonElement> Shown() =>
            (await tenant.Viewer.Get("/v1/usage/rollups")).Json.GetProperty("items").EnumerateArray().Single();
    }

    [Fact]
    public async Task What_comes_in_large_batches_is_rolled_up_when_it_is_answered_and_a_rebuild_changes_no_row()
    {
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        object[] some = [new { kind = "in", property = "region", values = new[] { "eu", "us" } }];
        object[] large = [new { kind = "range", property = "size", from = "10", to = "100.5" }];
        await Define(billing, type, "sum", dimensions: ["region", "size"]);
        await Define(billing, type, "average", some, ["size"]);
        await Define(billing, type, "sum", large);
        await Send(tenant, type, "first", Now - Duration.FromHours(1), "1");
        await RolledUp(billing);

        // What is no decimal, or too long to be read as one, is in no range.
        string[] sizes = ["10", "100.49", "100.5", "-20", "no size", "0000000000000000000000000000000000042"];
        foreach (var batch in Enumerable.Range(0, 3))
        {
            // The last ten repeat the first one.
            var answer = await SendMany(tenant, type, [.. Enumerable.Range(0, 600).Select(i => i < 590 ? i : 0).Select(i => Event(
                type, $"{batch}.{i}", Now - Duration.FromMinutes(1 + i),
                ("value", $"{i % 7}.25"), ("region", i % 5 == 0 ? "eu" : "asia"), ("size", sizes[i % sizes.Length])))]);
            answer.GetProperty("accepted").GetInt32().ShouldBe(590);
            answer.GetProperty("duplicates").GetInt32().ShouldBe(10);

            // Nothing waits for the next look, and nothing of it was read again.
            var mark = (await tenant.Viewer.Get("/v1/usage/rollups")).Json.GetProperty("items").EnumerateArray().Single();
            mark.GetProperty("position").GetInt64().ShouldBe(mark.GetProperty("ledger_position").GetInt64());
        }

        // A row for each event is more than the lane is held for.
        await SendMany(tenant, type, [.. Enumerable.Range(0, 300).Select(i => Event(
            type, $"apart.{i}", Now - Duration.FromMinutes(1), ("value", "1"), ("region", "eu"), ("size", $"{i}")))]);
        await RolledUp(billing);

        var live = await Rows(tenant);
        await RollUp.Rebuild(BillingHost.Cancellation);
        (await Rows(tenant)).ShouldBe(live);
        live.Length.ShouldBeGreaterThan(600);
    }

    [Fact]
    public async Task Large_batches_beside_small_ones_rollers_and_a_new_meter_count_every_event_once()
    {
        var (tenant, type) = (await billing.NewTenant(), await NewType(billing));
        await BesideRollers(2, tenant, type, writers: 4, async writer =>
        {
            for (var i = 0; i < 6; i++)
            {
                await Send(tenant, type, $"{writer}.{i}", Now - Duration.FromHours(1), "1");
                await SendMany(tenant, type, [.. Enumerable.Range(0, 300).Select(n => Event(
                    type, $"{writer}.{i}.{n}", Now - Duration.FromHours(1), ("value", "1")))]);
                if (writer == 0 && i == 3)
                    await Define(billing, type, "sum");
            }
        });

        var rows = await Rows(tenant);
        rows.Length.ShouldBe(2);
        rows.ShouldContain(row => row.EndsWith("|0|7224|0", StringComparison.Ordinal));
        rows.ShouldContain(row => row.EndsWith("|7224|7224|7224", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_close_right_after_its_usage_counts_all_of_it_and_has_it_rolled_up()
    {
        var (tenant, catalog) = (await billing.NewTenant(), await billing.NewCatalog());
        var subscription = await BillingHost.Subscribe(tenant, catalog);
        foreach (var id in Enumerable.Range(1, 5))
            (await tenant.Partner.Post("/v1/usage/events", UsageConflictSpecs.Call($"{id}", id))).Status.ShouldBe(200);
        var invoice = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");

        invoice.Status.ShouldBe(201, invoice.Text);
        Calls(invoice.Json).ShouldBe([("usage", "15", "0.75")]);
        var mark = (await tenant.Viewer.Get("/v1/usage/rollups")).Json.GetProperty("items").EnumerateArray().Single();
        mark.GetProperty("position").GetInt64().ShouldBe(mark.GetProperty("ledger_position").GetInt64());
    }

    // Returns when all that was written is rolled up.
    private async Task BesideRollers(int rollers, TestTenant tenant, string type, int writers, Func<int, Task> write)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(BillingHost.Cancellation);
        var rolling = Enumerable.Range(0, rollers).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await RollUpNow(tenant, type);
        })).ToList();

        await Task.WhenAll(Enumerable.Range(0, writers).Select(write));
        await stop.CancelAsync();
        await Task.WhenAll(rolling);
        await RolledUp(billing);
    }

    /// <summary>Waits until the roll-ups of all tenants are where the ledger is.</summary>
    internal static Task RolledUp(BillingHost billing) => BillingHost.Eventually(
        async () => (await billing.Services.GetRequiredService<RollUpUsage>().Behind(BillingHost.Cancellation)).Count == 0,
        "everything is rolled up");

    private async Task Run(string zone, IReadOnlyList<Step> steps)
    {
        var (tenant, type) = (await billing.NewTenant(timeZone: zone), await NewType(billing));
        object[] filters = [new { kind = "in", property = "region", values = new[] { "eu", "us" } }];
        var meters = new List<(string Key, string Aggregation, bool Filtered)>();
        foreach (var aggregation in Additive)
            meters.Add((await Define(billing, type, aggregation, dimensions: ["region"]), aggregation, false));
        meters.Add((await Define(billing, type, "sum", filters, ["region"]), "sum", true));

        var counted = new Dictionary<int, CountedEvent?>();
        foreach (var (order, step) in steps.Index())
        {
            await Take(tenant, type, counted, order, step);
            if (step.Kind == 3)
                await RollUpNow(tenant, type);
            // Some of it is rolled up by now, and some is not.
            if (order == steps.Count / 2)
                await Compare(tenant, meters, [.. counted.Values.OfType<CountedEvent>()]);
        }

        await RolledUp(billing);
        await Compare(tenant, meters, [.. counted.Values.OfType<CountedEvent>()]);

        var live = await Rows(tenant);
        await RollUp.Rebuild(BillingHost.Cancellation);
        (await Rows(tenant)).ShouldBe(live);
        live.Length.ShouldBeGreaterThan(0);
    }

    private static async Task Take(TestTenant tenant, string type, Dictionary<int, CountedEvent?> counted, int order, Step step)
    {
        (string Name, string Value)[] data =
        [
            .. step.Value.Length == 0 ? [] : new[] { ("value", step.Value) },
            .. step.Region is null ? [] : new[] { ("region", step.Region) },
        ];
        var value = step.Value.Length == 0 ? null : step.Value;
        var known = counted.TryGetValue(step.Id, out var kept);
        // What a summing meter reads must be a number; only amends and events of before it may leave it out.
        if (step.Kind == 0 && !known)
        {
            var time = Now - Duration.FromMinutes(step.Minutes);
            var sent = await tenant.Partner.Post("/v1/usage/events", Event(type, $"{step.Id}", time, data));
            if (sent.Status == 200)
                counted[step.Id] = new(time, order, value, step.Region, Model: null);
        }
        else if (step.Kind == 4 && !counted.ContainsKey(step.Id * 1_000))
        {
            string[] values = ["0.1", "2.50", "999999999999999.000000001", "7"];
            CountedEvent[] many =
            [
                .. Enumerable.Range(0, UsageDelivery.LargeFrom).Select(i => new CountedEvent(
                    Now - Duration.FromMinutes(step.Minutes + i % 150), order, values[i % 4], (i % 3) switch { 0 => "eu", 1 => "us", _ => null }, Model: null)),
            ];
            foreach (var (i, it) in many.Index())
                counted[step.Id * 1_000 + i] = it;
            await SendMany(tenant, type, [.. many.Select((it, i) => Event(
                type, $"{step.Id * 1_000 + i}", it.Time,
                it.Region is { } region ? [("value", it.Value!), ("region", region)] : [("value", it.Value!)]))]);
        }
        else if (step.Kind == 1 && kept is not null)
        {
            (await Correct(tenant.Admin, "void", $"{step.Id}")).Status.ShouldBe(201);
            counted[step.Id] = null;
        }
        else if (step.Kind == 2 && kept is not null)
        {
            var amended = await Correct(tenant.Admin, "amend", $"{step.Id}", data.ToDictionary(it => it.Name, it => it.Value));
            if (amended.Status == 201)
                counted[step.Id] = kept with { Value = value, Region = step.Region };
        }
    }

    private static async Task Compare(TestTenant tenant, List<(string Key, string Aggregation, bool Filtered)> meters, CountedEvent[] events)
    {
        foreach (var (key, aggregation, filtered) in meters)
        {
            CountedEvent[] read = [.. events.Where(it => !filtered || it.Region is not null)];
            foreach (var (window, from) in new[]
            {
                ("day", Now - Duration.FromDays(101)), ("month", Now - Duration.FromMinutes(90 * 1440 + 7)), ("hour", Now - Duration.FromDays(3)),
            })
            {
                var range = (InstantPattern.ExtendedIso.Format(from), "2026-03-10T11:59:00Z");
                var usage = await UsageOf(tenant, key, range.Item1, range.Item2, $"&window={window}&group_by=region");
                Same(usage, read);
                var groups = usage.GetProperty("groups").EnumerateArray().ToList();
                foreach (var group in groups)
                    Same(group, [.. read.Where(it => it.Region == Region(group))]);
                groups.Select(Region).ShouldBe(
                    read.Where(it => it.Time >= from && it.Time < Now - Duration.FromMinutes(1)).Select(it => it.Region).Distinct(),
                    ignoreOrder: true);

                var eu = await UsageOf(tenant, key, range.Item1, range.Item2, $"&window={window}&filter=region:eu&filter=region");
                Same(eu, [.. read.Where(it => it.Region is "eu" or null)]);

                void Same(JsonElement measured, CountedEvent[] of)
                {
                    Number(measured, "total").ShouldBe(
                        CountedEvent.Aggregate(aggregation, of, from, Now - Duration.FromMinutes(1), Now), $"{aggregation} {window}");
                    foreach (var it in measured.GetProperty("windows").EnumerateArray())
                    {
                        Number(it, "quantity").ShouldBe(
                            CountedEvent.Aggregate(aggregation, of, At(it, "start"), At(it, "end"), Now), $"{aggregation} {it}");
                    }
                }
            }
        }

        static string? Region(JsonElement group) => group.GetProperty("dimensions").GetProperty("region").GetString();
    }

    private Task<string[]> Rows(TestTenant tenant) => billing.Strings(
        $"""
        select concat_ws('|', meter_id, version, hour, dimensions, trim_scale(quantity), events, quantities)
        from billing.usage_rollups where tenant_id = '{tenant.Id}' order by 1
        """);

    private static async Task<JsonElement> SendMany(TestTenant tenant, string type, object[] events)
    {
        var answer = await tenant.Partner.Post("/v1/usage/events", events);
        answer.Status.ShouldBe(200, answer.Text);
        answer.Json.GetProperty("rejected").GetInt32().ShouldBe(0, type);
        return answer.Json;
    }

    private static async Task<JsonElement> Send(TestTenant tenant, string type, string id, Instant time, string value)
    {
        var answer = await tenant.Partner.Post("/v1/usage/events", Event(type, id, time, ("value", value)));
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json;
    }
}
