using System.Text;
using System.Text.Json;
using NodaTime;
using Platform.Billing.Tests.Http;
using static Platform.Billing.Tests.Usage.MeterHistory;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Usage;

/// <summary>What the portal asks: numbers by dimension, the events behind each of them, and exports.</summary>
public sealed class UsageQuerySpecs(BillingHost billing)
{
    private const string Range = "from=2026-03-09T00:00:00Z&to=2026-03-10T00:00:00Z";
    private const string Awkward = "a,b:\"c\"\r\nd é =1";

    private static readonly Instant Morning = Instant.FromUtc(2026, 3, 9, 6, 0);

    [Fact]
    public async Task Every_number_has_the_events_that_it_is_made_of()
    {
        var (tenant, meter) = await New();

        var usage = await Get(tenant, $"/v1/usage?meter={meter}&{Range}&window=hour&group_by=region,model");
        usage.GetProperty("total").GetString().ShouldBe("1101.5");
        var groups = usage.GetProperty("groups").EnumerateArray().ToList();
        groups.Count.ShouldBe(4);
        foreach (var group in groups)
        {
            var filter = string.Concat(group.GetProperty("dimensions").EnumerateObject().Select(it =>
                $"&filter={Uri.EscapeDataString(it.Value.ValueKind == JsonValueKind.Null ? it.Name : $"{it.Name}:{it.Value}")}"));
            Sum(await Events(tenant, meter, Range + filter)).ShouldBe(Number(group, "total"), filter);
            foreach (var window in group.GetProperty("windows").EnumerateArray())
            {
                var range = $"from={window.GetProperty("start")}&to={window.GetProperty("end")}{filter}";
                Sum(await Events(tenant, meter, range)).ShouldBe(Number(window, "quantity"), range);
                Number(await Get(tenant, $"/v1/usage?meter={meter}&{range}"), "total").ShouldBe(Number(window, "quantity"), range);
            }
        }

        groups.Sum(group => Number(group, "total")).ShouldBe(1101.5m);
    }

    [Fact]
    public async Task The_events_behind_a_number_are_those_that_count_now()
    {
        var (tenant, meter) = await New();
        await Correct(tenant.Admin, "void", "1");
        await Correct(tenant.Admin, "amend", "2", new { value = "3", region = "eu" });

        (await Events(tenant, meter, $"{Range}&filter=region:eu&filter=region:us")).Select(it => it.GetProperty("id").GetString())
            .ShouldBe(["2", "3"]);
        (await Events(tenant, meter, $"{Range}&filter=region:us")).ShouldBeEmpty();
        (await Events(tenant, meter, $"{Range}&filter=model")).ShouldHaveSingleItem().GetProperty("quantity").GetString().ShouldBe("3");
    }

    [Fact]
    public async Task The_level_that_a_gauge_began_with_is_among_its_events()
    {
        var (tenant, _, type) = await NewType();
        await tenant.Partner.Post("/v1/usage/events", new[]
        {
            Event(type, "older", Morning - Duration.FromDays(3), ("value", "9")),
            Event(type, "level", Morning - Duration.FromDays(2), ("value", "1")),
            Event(type, "other", Morning - Duration.FromDays(2), ("value", "1"), ("region", "eu")),
            Event(type, "inside", Morning, ("value", "2")),
        });
        var meter = await Define(billing, type, "weighted_sum", dimensions: ["region"]);

        (await Events(tenant, meter, $"{Range}&filter=region")).Select(it => it.GetProperty("id").GetString()).ShouldBe(["level", "inside"]);
    }

    [Fact]
    public async Task The_events_behind_a_number_are_read_page_by_page()
    {
        var (tenant, meter, type) = await NewType();
        await tenant.Partner.Post("/v1/usage/events", Enumerable.Range(1, 25).Select(i => Event(type, $"{i}", Morning)).ToArray());

        (await Events(tenant, meter, $"{Range}&limit=10")).Select(it => it.GetProperty("id").GetString())
            .ShouldBe(Enumerable.Range(1, 25).Select(i => $"{i}"));
    }

    [Theory]
    [InlineData("&group_by=city", "group_by")]
    [InlineData("&group_by=region,region", "group_by")]
    [InlineData("&filter=city:x", "filter")]
    [InlineData("&version=x", "version")]
    public async Task A_wrong_query_is_named(string more, string field)
    {
        var (tenant, meter) = await New();

        var answer = await tenant.Viewer.Get($"/v1/usage?meter={meter}&{Range}{more}");

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldBe([field]);
    }

    [Theory]
    [InlineData("/v1/usage")]
    [InlineData("/v1/usage/measured-events")]
    [InlineData("/v1/usage/export")]
    public async Task Nobody_reads_the_usage_of_another_tenant(string path)
    {
        var (_, meter) = await New();
        var other = await billing.NewTenant();

        var answer = await other.Viewer.Get($"{path}?meter={meter}&{Range}&format=ndjson");

        answer.Status.ShouldBe(200, answer.Text);
        answer.Text.ShouldNotContain("source");
        answer.Text.ShouldNotContain("1101.5");
    }

    [Fact]
    public async Task A_csv_export_is_quoted_where_it_must_be()
    {
        var (tenant, meter, type) = await NewType();
        await tenant.Partner.Post("/v1/usage/events", new[]
        {
            new { id = "a,\"b\" é", source = "s", type, time = "2026-03-09T06:00:00.5Z", subject = "=1+1", data = new Dictionary<string, string>() },
        });
        await tenant.Partner.Post("/v1/usage/events", Event(type, "plain", Morning, ("value", Awkward)));

        var csv = (await tenant.Viewer.Get($"/v1/usage/export?meter={meter}&{Range}&format=csv")).Text;

        csv.ShouldStartWith("position,source,id,type,subject,time,received_at,attempt_id,quantity,data\r\n");
        csv.ShouldContain($",s,\"a,\"\"b\"\" é\",{type},=1+1,2026-03-09T06:00:00.5Z,2026-03-10T12:00:00Z,,,{{}}\r\n");
        var rows = Parse(csv);
        rows.Select(row => row.Length).ShouldBe([10, 10, 10]);
        rows[2][2].ShouldBe("plain");
        JsonDocument.Parse(rows[2][9]).RootElement.GetProperty("value").GetString().ShouldBe(Awkward);
    }

    [Fact]
    public async Task An_export_has_the_events_that_the_pages_have()
    {
        var (tenant, meter) = await New();
        var filter = $"{Range}&filter=region:eu&filter=region";

        var ndjson = (await tenant.Viewer.Get($"/v1/usage/export?meter={meter}&{filter}&format=ndjson")).Text;

        ndjson.TrimEnd('\n').Split('\n').ShouldBe((await Events(tenant, meter, filter)).Select(it => it.GetRawText()));
        (await tenant.Viewer.Get($"/v1/usage/export?meter={meter}&{Range}&format=xml")).Fields.ShouldBe(["format"]);
    }

    private async Task<(TestTenant Tenant, string Meter, string Type)> NewType()
    {
        var type = $"t{Guid.CreateVersion7():n}";
        return (await billing.NewTenant(), await Define(billing, type, "count"), type);
    }

    private async Task<(TestTenant Tenant, string Meter)> New()
    {
        var (tenant, _, type) = await NewType();
        var meter = await Define(billing, type, "sum", dimensions: ["region", "model"]);
        var answer = await tenant.Partner.Post("/v1/usage/events", new[]
        {
            Event(type, "1", Morning, ("value", "1"), ("region", "eu"), ("model", Awkward)),
            Event(type, "2", Morning, ("value", "100"), ("region", "us"), ("model", "m")),
            Event(type, "3", Morning + Duration.FromHours(2), ("value", "0.5"), ("region", "eu"), ("model", Awkward)),
            Event(type, "4", Morning, ("value", "1000"), ("model", "m")),
            Event(type, "5", Morning, ("value", "0"), ("model", "")),
        });
        answer.Json.GetProperty("accepted").GetInt32().ShouldBe(5, answer.Text);
        return (tenant, meter);
    }

    private static async Task<JsonElement> Get(TestTenant tenant, string path)
    {
        var answer = await tenant.Viewer.Get(path);
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json;
    }

    private static async Task<List<JsonElement>> Events(TestTenant tenant, string meter, string query)
    {
        var events = new List<JsonElement>();
        for (var cursor = ""; cursor is not null;)
        {
            var page = await Get(tenant, $"/v1/usage/measured-events?meter={meter}&{query}{cursor}");
            events.AddRange(page.GetProperty("items").EnumerateArray());
            cursor = page.GetProperty("next_cursor") is { ValueKind: JsonValueKind.String } next ? $"&cursor={next.GetString()}" : null;
        }

        return events;
    }

    private static decimal Sum(List<JsonElement> events) => events.Sum(it => Number(it, "quantity"));

    // A plain reader of RFC 4180.
    private static List<string[]> Parse(string csv)
    {
        var (rows, row, field, quoted) = (new List<string[]>(), new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < csv.Length; i++)
        {
            switch (csv[i])
            {
                case '"' when quoted && csv.AsSpan(i).StartsWith("\"\"", StringComparison.Ordinal):
                    field.Append(csv[++i]);
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case ',' when !quoted:
                    row.Add(field.ToString());
                    field.Clear();
                    break;
                case '\n' when !quoted:
                    rows.Add([.. row, field.ToString().TrimEnd('\r')]);
                    row.Clear();
                    field.Clear();
                    break;
                default:
                    field.Append(csv[i]);
                    break;
            }
        }

        return rows;
    }
}
