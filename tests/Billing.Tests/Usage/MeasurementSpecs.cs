using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.MeterHistory;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>How meters make quantities of events. The clock stands at noon of 10 March 2026.</summary>
public sealed class MeasurementSpecs(BillingHost billing)
{
    private const string Day = "2026-03-09T00:00:00Z";
    private const string NextDay = "2026-03-10T00:00:00Z";

    // Events of 9 March as hour:minute=value; the one without a time is of the day before, a gauge's level at midnight.
    [Theory]
    [InlineData("sum", "", "0")]
    [InlineData("sum", "01:00=0.1 02:00=0.2 03:00=999999999999999.000000001", "999999999999999.300000001")]
    [InlineData("sum", "01:00=1 02:00=abc 03:00=", "1")]
    [InlineData("sum", "01:00=.5 02:00=5. 03:00=0000000000000000000005 04:00=. 05:00=1e3 06:00=-1", "10.5")]
    [InlineData("sum", "01:00=1000000000000000 02:00=0.0000000001 03:00=2", "2")]
    [InlineData("count", "01:00=1 02:00=abc 03:00=", "3")]
    [InlineData("max", "", "0")]
    [InlineData("max", "01:00=9 02:00=10 03:00=2.5", "10")]
    [InlineData("latest", "", "0")]
    [InlineData("latest", "03:00=3 01:00=1 02:00=2", "3")]
    [InlineData("latest", "03:00=3 03:00=4 02:00=2", "4")]
    [InlineData("latest", "03:00=3 04:00=abc", "3")]
    [InlineData("unique_count", "", "0")]
    [InlineData("unique_count", "01:00=ada 02:00=bob 03:00=ada 04:00=", "2")]
    [InlineData("average", "", "0")]
    [InlineData("average", "01:00=1 02:00=2", "1.5")]
    [InlineData("average", "01:00=1 02:00=0 03:00=0", "0.333333333333")]
    [InlineData("average", "01:00=1 02:00=1 03:00=0", "0.666666666667")]
    [InlineData("average", "01:00=999999999999999.999999999 02:00=0 03:00=0", "333333333333333.333333333")]
    [InlineData("percentile", "", "0")]
    [InlineData("percentile", "01:00=7", "7")]
    [InlineData("percentile", "01:00=4 02:00=1 03:00=3 04:00=2", "2")]
    [InlineData("percentile", "01:00=4 02:00=1 03:00=3 04:00=2 05:00=5", "3")]
    [InlineData("weighted_sum", "", "0")]
    [InlineData("weighted_sum", "06:00=2", "36")]
    [InlineData("weighted_sum", "-=1 06:00=2", "42")]
    [InlineData("weighted_sum", "-=1", "24")]
    [InlineData("weighted_sum", "06:00=2 12:00=0 18:00=1", "18")]
    [InlineData("weighted_sum", "18:00=1 12:00=0 06:00=2", "18")]
    [InlineData("weighted_sum", "06:00=2 06:00=4", "72")]
    [InlineData("weighted_sum", "23:59=1", "0.016666666667")]
    public async Task Each_aggregation_measures_what_its_definition_says(string aggregation, string events, string expected)
    {
        var (tenant, type) = await New();
        await Send(tenant, type, events);

        // Defined after the events: it gives what it would have given.
        var meter = await Define(billing, type, aggregation);

        (await UsageOf(tenant, meter, Day, NextDay)).GetProperty("total").GetString().ShouldBe(expected);
    }

    [Theory]
    [InlineData("99", "99")]
    [InlineData("99.5", "100")]
    [InlineData("100", "100")]
    [InlineData("0.000001", "1")]
    [InlineData("95", "95")]
    public async Task A_percentile_is_the_nearest_rank(string percentile, string expected)
    {
        var (tenant, type) = await New();
        await tenant.Partner.Post("/v1/usage/events", Enumerable.Range(1, 100).Select(i =>
            Event(type, $"{i}", Instant.FromUtc(2026, 3, 9, 1, 0), ("value", $"{i}"))).ToArray());
        var meter = await Define(billing, type, "percentile", percentile: percentile);

        (await UsageOf(tenant, meter, Day, NextDay)).GetProperty("total").GetString().ShouldBe(expected);
    }

    [Fact]
    public async Task A_gauge_holds_no_longer_than_our_clock_and_counts_seconds_too()
    {
        var (tenant, type) = await New();
        await Send(tenant, type, "00:00=1");
        var meter = await Define(billing, type, "weighted_sum", timeUnit: "second");

        var usage = await UsageOf(tenant, meter, Day, "2026-03-12T00:00:00Z");

        usage.GetProperty("total").GetString().ShouldBe("129600");
        Quantities(usage).ShouldBe(["86400", "43200", "0"]);
    }

    [Theory]
    [InlineData("""[{"kind":"equals","property":"region","value":"eu"}]""", "1010")]
    [InlineData("""[{"kind":"in","property":"region","values":["eu","us"]}]""", "1110")]
    [InlineData("""[{"kind":"range","property":"size","from":"2"}]""", "1100")]
    [InlineData("""[{"kind":"range","property":"size","from":"-1","to":"2"}]""", "10")]
    [InlineData("""[{"kind":"range","property":"size","to":"10"}]""", "110")]
    [InlineData("""[{"kind":"range","property":"size","from":"2"},{"kind":"equals","property":"region","value":"us"}]""", "100")]
    [InlineData("""[{"kind":"equals","property":"nothing","value":"eu"}]""", "0")]
    public async Task Filters_choose_the_events(string filters, string expected)
    {
        var (tenant, type) = await New();
        var meter = await Define(billing, type, "sum", [.. JsonDocument.Parse(filters).RootElement.EnumerateArray().Select(it => (object)it)]);

        var answer = await tenant.Partner.Post("/v1/usage/events", new[]
        {
            Event(type, "1", Morning, ("value", "10"), ("region", "eu"), ("size", "1.5")),
            Event(type, "2", Morning, ("value", "100"), ("region", "us"), ("size", "2")),
            Event(type, "3", Morning, ("value", "1000"), ("region", "eu"), ("size", "10")),
            Event(type, "4", Morning, ("value", "10000"), ("region", "eux"), ("size", "big")),
            Event(type, "5", Morning, ("value", "100000")),
        });

        answer.Json.GetProperty("accepted").GetInt32().ShouldBe(5, answer.Text);
        (await UsageOf(tenant, meter, Day, NextDay)).GetProperty("total").GetString().ShouldBe(expected);
    }

    [Fact]
    public async Task Only_events_that_pass_a_meters_filters_need_its_quantity()
    {
        var (tenant, type) = await New();
        await Define(billing, type, "sum", [new { kind = "equals", property = "region", value = "eu" }]);

        (await tenant.Partner.Post("/v1/usage/events", Event(type, "1", Morning, ("region", "us")))).Status.ShouldBe(200);
        var refused = await tenant.Partner.Post("/v1/usage/events", Event(type, "2", Morning, ("region", "eu")));

        refused.Status.ShouldBe(422);
        refused.Fields.ShouldBe(["data.value"]);
    }

    [Fact]
    public async Task A_new_version_measures_old_events_anew_and_the_old_one_stays()
    {
        var (tenant, type) = await New();
        await Send(tenant, type, "01:00=5 02:00=7");
        var key = $"m{Guid.CreateVersion7():n}";
        var defined = await billing.Operator.Post("/v1/meters", Meter(key, type, "sum"));
        var path = $"/v1/meters/{defined.Json.GetProperty("meter_id")}";
        object next = new { display_name = "Peak", aggregation = "max", unit = "peak", value_property = "value" };

        var published = await billing.Operator.Post($"{path}/versions", next);
        published.Status.ShouldBe(201, published.Text);
        (await billing.Operator.Post($"{path}/versions", next)).Json.GetProperty("latest_version").GetInt32().ShouldBe(2, "the same again");

        (await Total()).ShouldBe(("7", "peak", 2));
        (await Total("&version=1")).ShouldBe(("12", "unit", 1));
        (await tenant.Viewer.Get($"/v1/usage?meter={key}&from={Day}&to={NextDay}&version=3")).Code.ShouldBe("meter_version.not_found");
        var versions = (await tenant.Viewer.Get(path)).Json.GetProperty("versions").EnumerateArray();
        versions.Select(it => it.GetProperty("definition").GetProperty("aggregation").GetString()).ShouldBe(["sum", "max"]);
        (await billing.Operator.Post($"/v1/meters/{Guid.CreateVersion7()}/versions", next)).Code.ShouldBe("meter.not_found");

        async Task<(string?, string?, int)> Total(string more = "")
        {
            var usage = await UsageOf(tenant, key, Day, NextDay, more);
            return (usage.GetProperty("total").GetString(), usage.GetProperty("unit").GetString(), usage.GetProperty("version").GetInt32());
        }
    }

    [Theory]
    [InlineData("""{"aggregation":"max"}""", "value_property")]
    [InlineData("""{"aggregation":"count","value_property":"value"}""", "value_property")]
    [InlineData("""{"aggregation":"percentile","value_property":"value"}""", "percentile")]
    [InlineData("""{"aggregation":"percentile","value_property":"value","percentile":"0"}""", "percentile")]
    [InlineData("""{"aggregation":"percentile","value_property":"value","percentile":"100.1"}""", "percentile")]
    [InlineData("""{"aggregation":"max","value_property":"value","percentile":"50"}""", "percentile")]
    [InlineData("""{"aggregation":"weighted_sum","value_property":"value"}""", "time_unit")]
    [InlineData("""{"aggregation":"sum","value_property":"value","time_unit":"hour"}""", "time_unit")]
    [InlineData("""{"aggregation":"count","dimensions":["a","b","c","d","e"]}""", "dimensions")]
    [InlineData("""{"aggregation":"count","dimensions":["a","a"]}""", "dimensions[1]")]
    [InlineData("""{"aggregation":"count","dimensions":["a,b"]}""", "dimensions[0]")]
    [InlineData("""{"aggregation":"count","filters":[{"kind":"equals","property":"","value":"a"}]}""", "filters[0].property")]
    [InlineData("""{"aggregation":"count","filters":[{"kind":"in","property":"a","values":[]}]}""", "filters[0].values")]
    [InlineData("""{"aggregation":"count","filters":[{"kind":"range","property":"a"}]}""", "filters[0].to")]
    [InlineData("""{"aggregation":"count","filters":[{"kind":"range","property":"a","from":"2","to":"2"}]}""", "filters[0].to")]
    public async Task A_senseless_definition_is_refused_by_its_field(string definition, string field)
    {
        var members = JsonDocument.Parse(definition).RootElement.EnumerateObject().ToDictionary(it => it.Name, it => (object)it.Value);
        members["display_name"] = members["unit"] = "A";

        var version = await billing.Operator.Post($"/v1/meters/{Guid.CreateVersion7()}/versions", members);
        members["key"] = members["event_type"] = $"m{Guid.CreateVersion7():n}";
        var meter = await billing.Operator.Post("/v1/meters", members);

        foreach (var answer in new[] { meter, version })
        {
            answer.Status.ShouldBe(422, answer.Text);
            answer.Code.ShouldBe("meter.invalid");
            answer.Fields.ShouldBe([field]);
        }
    }

    /// <param name="Kind">0 sends, 1 voids, 2 amends.</param>
    /// <param name="Id">Few, so that they meet.</param>
    /// <param name="Minutes">Time of the usage in the case's three days.</param>
    public sealed record Step(int Kind, int Id, string Value, int Minutes, string? Region, string? Model);

    [Fact]
    public void Every_window_and_group_measures_what_a_naive_recomputation_does()
    {
        var step =
            from kind in Gen.Frequency((10, Gen.Constant(0)), (2, Gen.Constant(1)), (3, Gen.Constant(2)))
            from id in Gen.Choose(1, 25)
            from value in Gen.Elements("0", "0.1", "2.5", "2.50", "7", "13", "abc", "")
            from minutes in Gen.Choose(0, 3 * 24 * 60)
            from region in Gen.Elements("eu", "us", null)
            from model in Gen.Elements("a,b", "c")
            select new Step(kind, id, value, minutes, region, model);
        // The third day before the end has 23, 25 or 24 hours, or begins at one o'clock; offsets are not always whole hours.
        var place = Gen.Elements(
            ("America/New_York", Instant.FromUtc(2026, 3, 10, 4, 0)), ("Europe/Berlin", Instant.FromUtc(2025, 10, 28, 0, 0)),
            ("America/Santiago", Instant.FromUtc(2025, 9, 9, 3, 0)), ("Asia/Kathmandu", Instant.FromUtc(2026, 3, 2, 2, 0)),
            ("Australia/Lord_Howe", Instant.FromUtc(2025, 10, 6, 11, 0)));
        var seed = (ulong)System.Security.Cryptography.RandomNumberGenerator.GetInt32(int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"FsCheck seed ({seed},1)");

        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(8).WithReplay(new Replay(new Rnd(seed, 1), null)),
            Prop.ForAll(
                Gen.Zip(place, step.ListOf(45)).ToArbitrary(),
                it => Run(it.Item1.Item1, it.Item1.Item2, [.. it.Item2]).GetAwaiter().GetResult()));
    }

    private async Task Run(string zone, Instant end, IReadOnlyList<Step> steps)
    {
        var tenant = await billing.NewTenant(timeZone: zone);
        var type = await NewType(billing);
        var counted = new Dictionary<int, CountedEvent?>();
        foreach (var (order, step) in steps.Index())
            await Take(tenant, type, counted, order, step, end - Duration.FromDays(3));

        CountedEvent[] events = [.. counted.Values.OfType<CountedEvent>()];
        object[] filters = [new { kind = "in", property = "model", values = new[] { "a,b", "c" } }];
        foreach (var aggregation in Aggregations)
        {
            var meter = await Define(billing, type, aggregation, filters, ["region", "model"]);
            foreach (var window in new[] { "hour", "day", "month" })
            {
                // A day more on each side, and bounds that are no bounds of windows.
                var (from, to) = (end - Duration.FromMinutes(4 * 1440 - 7), Instant.Min(end + Duration.FromMinutes(127), billing.Clock.Now));
                var usage = await UsageOf(
                    tenant, meter, InstantPattern.ExtendedIso.Format(from), InstantPattern.ExtendedIso.Format(to),
                    $"&window={window}&group_by=region");
                Check(usage, events);
                Tiles(usage, window, from, to, DateTimeZoneProviders.Tzdb[zone]);
                foreach (var group in usage.GetProperty("groups").EnumerateArray())
                {
                    var region = group.GetProperty("dimensions").GetProperty("region").GetString();
                    Check(group, [.. events.Where(it => it.Region == region)]);
                }

                void Check(JsonElement measured, CountedEvent[] of)
                {
                    Number(measured, "total").ShouldBe(
                        CountedEvent.Aggregate(aggregation, of, from, to, billing.Clock.Now), $"{aggregation} {window}");
                    foreach (var it in measured.GetProperty("windows").EnumerateArray())
                    {
                        Number(it, "quantity").ShouldBe(
                            CountedEvent.Aggregate(aggregation, of, At(it, "start"), At(it, "end"), billing.Clock.Now),
                            $"{aggregation} {it}");
                    }
                }
            }
        }
    }

    // Windows follow each other without a gap, and begin where the zone says.
    private static void Tiles(JsonElement usage, string window, Instant from, Instant to, DateTimeZone zone)
    {
        var windows = usage.GetProperty("windows").EnumerateArray().ToList();
        At(windows[0], "start").ShouldBe(from);
        At(windows[^1], "end").ShouldBe(to);
        foreach (var (before, after) in windows.Zip(windows.Skip(1)))
        {
            var start = At(after, "start");
            At(before, "end").ShouldBe(start);
            var date = start.InZone(zone).Date;
            if (window != "hour")
                start.ShouldBe(zone.AtStartOfDay(date).ToInstant());
            if (window == "month")
                date.Day.ShouldBe(1);
        }
    }

    private static async Task Take(
        TestTenant tenant, string type, Dictionary<int, CountedEvent?> counted, int order, Step step, Instant start)
    {
        (string, string)[] data =
        [
            .. step.Value.Length == 0 ? [] : new[] { ("value", step.Value) },
            .. step.Region is null ? [] : new[] { ("region", step.Region) },
            .. step.Model is null ? [] : new[] { ("model", step.Model) },
        ];
        var known = counted.TryGetValue(step.Id, out var kept);
        var value = step.Value.Length == 0 ? null : step.Value;
        if (step.Kind == 0 && !known)
        {
            var time = start + Duration.FromMinutes(step.Minutes);
            (await tenant.Partner.Post("/v1/usage/events", Event(type, $"{step.Id}", time, data))).Status.ShouldBe(200);
            counted[step.Id] = new(time, order, value, step.Region, step.Model);
        }
        else if (step.Kind == 1 && kept is not null)
        {
            (await Correct(tenant.Admin, "void", $"{step.Id}")).Status.ShouldBe(201);
            counted[step.Id] = null;
        }
        else if (step.Kind == 2 && kept is not null)
        {
            (await Correct(tenant.Admin, "amend", $"{step.Id}", data.ToDictionary(it => it.Item1, it => it.Item2))).Status.ShouldBe(201);
            counted[step.Id] = kept with { Value = value, Region = step.Region, Model = step.Model };
        }
    }

    private static readonly Instant Morning = Instant.FromUtc(2026, 3, 9, 6, 0);

    private async Task<(TestTenant Tenant, string Type)> New() => (await billing.NewTenant(), await NewType(billing));

    private static async Task Send(TestTenant tenant, string type, string events)
    {
        foreach (var (index, text) in events.Split(' ', StringSplitOptions.RemoveEmptyEntries).Index())
        {
            var parts = text.Split('=');
            var time = parts[0] == "-"
                ? Instant.FromUtc(2026, 3, 8, 8, 0)
                : InstantPattern.ExtendedIso.Parse($"2026-03-09T{parts[0]}:00Z").Value;
            (string, string)[] data = parts[1].Length == 0 ? [] : [("value", parts[1])];
            (await tenant.Partner.Post("/v1/usage/events", Event(type, $"{index}", time, data))).Status.ShouldBe(200);
        }
    }

    private static string?[] Quantities(JsonElement usage) =>
        [.. usage.GetProperty("windows").EnumerateArray().Select(it => it.GetProperty("quantity").GetString())];
}
