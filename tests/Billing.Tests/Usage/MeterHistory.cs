using System.Globalization;
using System.Numerics;
using System.Text.Json;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Usage;

/// <summary>Meters and what they read, with dull defaults.</summary>
internal static class MeterHistory
{
    public static readonly string[] Aggregations =
        ["sum", "count", "max", "latest", "unique_count", "average", "percentile", "weighted_sum"];

    /// <summary>An event type that a counting meter reads, so that usage of it is taken.</summary>
    public static async Task<string> NewType(BillingHost billing)
    {
        var type = $"t{Guid.CreateVersion7():n}";
        await Define(billing, type, "count");
        return type;
    }

    /// <returns>The meter's key.</returns>
    public static async Task<string> Define(
        BillingHost billing, string type, string aggregation, object[]? filters = null, string[]? dimensions = null,
        string percentile = "50", string timeUnit = "hour")
    {
        var key = $"m{Guid.CreateVersion7():n}";
        var answer = await billing.Operator.Post("/v1/meters", Meter(key, type, aggregation, filters, dimensions, percentile, timeUnit));
        answer.Status.ShouldBe(201, answer.Text);
        return key;
    }

    public static Dictionary<string, object> Meter(
        string key, string type, string aggregation, object[]? filters = null, string[]? dimensions = null, string percentile = "50",
        string timeUnit = "hour")
    {
        var meter = new Dictionary<string, object>
        {
            ["key"] = key,
            ["display_name"] = "A meter",
            ["event_type"] = type,
            ["aggregation"] = aggregation,
            ["unit"] = "unit",
            ["filters"] = filters ?? [],
            ["dimensions"] = dimensions ?? [],
        };
        if (aggregation != "count")
            meter["value_property"] = "value";
        if (aggregation == "percentile")
            meter["percentile"] = percentile;
        if (aggregation == "weighted_sum")
            meter["time_unit"] = timeUnit;
        return meter;
    }

    public static object Event(string type, string id, Instant time, params (string Name, string Value)[] data) => new
    {
        id,
        source = "test",
        type,
        time = InstantPattern.ExtendedIso.Format(time),
        data = data.ToDictionary(member => member.Name, member => member.Value),
    };

    public static async Task<JsonElement> UsageOf(
        TestTenant tenant, string meter, string from, string to, string more = "")
    {
        var answer = await tenant.Viewer.Get($"/v1/usage?meter={meter}&from={from}&to={to}{more}");
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json;
    }

    public static Instant At(JsonElement of, string member) => InstantPattern.ExtendedIso.Parse(of.GetProperty(member).GetString()!).Value;

    public static decimal Number(JsonElement of, string member) =>
        decimal.Parse(of.GetProperty(member).GetString()!, NumberStyles.Number, CultureInfo.InvariantCulture);
}

/// <summary>An event as a naive recomputation sees it.</summary>
/// <param name="Order">The later the ledger took it, the higher.</param>
/// <param name="Value">As text; null where the event has none.</param>
internal sealed record CountedEvent(Instant Time, int Order, string? Value, string? Region, string? Model)
{
    private decimal? Quantity =>
        decimal.TryParse(Value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>What a meter says of [from, to), by the words of its definition; percentiles are medians, durations hours.</summary>
    public static decimal Aggregate(string aggregation, IEnumerable<CountedEvent> events, Instant from, Instant to, Instant now)
    {
        var all = events.OrderBy(it => it.Time).ThenBy(it => it.Order).ToList();
        if (aggregation == "weighted_sum")
            return Rounded(all.Where(it => it.Quantity is not null).GroupBy(it => (it.Region, it.Model)).Sum(gauge => Held([.. gauge])) / 3600);

        var inside = all.Where(it => it.Time >= from && it.Time < to).ToList();
        var values = inside.Where(it => it.Quantity is not null).Select(it => it.Quantity!.Value).ToList();
        return aggregation switch
        {
            "sum" => values.Sum(),
            "count" => inside.Count,
            "unique_count" => inside.Where(it => it.Value is not null).Select(it => it.Value).Distinct().Count(),
            _ when values.Count == 0 => 0,
            "max" => values.Max(),
            "latest" => values[^1],
            "average" => Quotient(values.Sum(), values.Count),
            "percentile" => values.Order().ElementAt((values.Count + 1) / 2 - 1),
            _ => throw new ArgumentException(aggregation),
        };

        decimal Held(List<CountedEvent> gauge) => gauge.Index().Sum(it =>
        {
            var until = it.Index + 1 < gauge.Count ? gauge[it.Index + 1].Time : Instant.MaxValue;
            var (start, end) = (Instant.Max(it.Item.Time, from), Instant.Min(Instant.Min(until, to), now));
            return end <= start ? 0 : it.Item.Quantity!.Value * (end - start).BclCompatibleTicks / NodaConstants.TicksPerSecond;
        });
    }

    // A decimal's own division rounds to its 28 digits first, so that large averages would be rounded twice.
    private static decimal Quotient(decimal sum, int count)
    {
        var doubled = 2 * 1_000 * new BigInteger(sum * 1_000_000_000m);
        return (decimal)((doubled + count) / (2 * count)) / 1_000_000_000_000m;
    }

    private static decimal Rounded(decimal value) => decimal.Round(value, 12, MidpointRounding.AwayFromZero);
}
