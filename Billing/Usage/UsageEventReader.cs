using System.Text.Json;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Catalog;
using Platform.Contracts;

namespace Platform.Billing.Usage;

/// <summary>Something is wrong with one member of an event.</summary>
/// <param name="Field">Path of the member: <c>time</c>, <c>data.milliseconds</c>.</param>
/// <param name="Malformed">True where the member cannot be read (400), false where it makes no sense (422).</param>
public sealed record UsageFault(string Field, string Code, string Problem, bool Malformed);

/// <param name="FutureMax">How far ahead of our clock an event may be.</param>
/// <param name="AgeMax">How far behind.</param>
public sealed record UsageLimits(Duration FutureMax, Duration AgeMax)
{
    /// <summary>Quantities are below this and have at most <see cref="DecimalsMax"/> decimals, so that sums and prices stay exact.</summary>
    public const decimal QuantityMax = 1_000_000_000_000_000m;

    public const int DecimalsMax = 9;

    /// <summary>False for anything that is no quantity: reported before a meter read it, it counts as nothing. <c>MeterColumns</c> says the same in SQL.</summary>
    public static bool TryReadQuantity(string text, out decimal quantity) =>
        Decimals.TryParse(text, out quantity) && text[0] != '-' && quantity < QuantityMax && quantity.Scale <= DecimalsMax;

    public static UsageLimits From(IConfiguration configuration) => new(
        Duration.FromMinutes(5), Duration.FromDays(configuration.GetValue("Usage:AgeDaysMax", 400)));
}

/// <summary>Reads one reported event strictly: a member that nobody knows may be a misspelt quantity.</summary>
public static class UsageEventReader
{
    private const string Malformed = "usage.malformed";

    private static readonly string OutOfRange =
        $"A quantity is below {UsageLimits.QuantityMax} with at most {UsageLimits.DecimalsMax} decimals.";

    /// <summary>Reads the shape of an event.</summary>
    /// <returns>The event, or everything that is wrong with it.</returns>
    public static (UsageEvent? Event, IReadOnlyList<UsageFault> Faults) Read(JsonElement json, TenantId tenant)
    {
        try
        {
            return ReadMembers(json, tenant);
        }
        catch (InvalidOperationException)
        {
            // JSON may escape half a surrogate pair, which is valid JSON and no text.
            return (null, [new("body", Malformed, "A string is no valid Unicode text.", Malformed: true)]);
        }
    }

    private static (UsageEvent? Event, IReadOnlyList<UsageFault> Faults) ReadMembers(JsonElement json, TenantId tenant)
    {
        if (json.ValueKind != JsonValueKind.Object)
            return (null, [new("body", Malformed, "A usage event is a JSON object.", Malformed: true)]);

        var faults = new List<UsageFault>();
        var (id, source, type, subject) = ("", "", "", (string?)null);
        Instant? time = null;
        var data = new Dictionary<string, string>();

        foreach (var member in json.EnumerateObject())
        {
            switch (member.Name)
            {
                case "id":
                    id = Text(member, max: 200);
                    break;
                case "source":
                    source = Text(member, max: 200);
                    break;
                case "type":
                    type = Text(member, max: 100);
                    break;
                case "subject":
                    subject = Text(member, max: 200);
                    break;
                case "time":
                    time = Time(member);
                    break;
                case "data":
                    ReadData(member.Value);
                    break;
                case "tenant":
                    if (!TenantId.TryParse(Text(member, max: 36), out var named) || named != tenant)
                        faults.Add(new("tenant", "usage.tenant_not_found", "Usage can be reported for the key's own tenant only.", Malformed: false));
                    break;
                case "specversion":
                    if (Text(member, max: 10) != "1.0")
                        Fault("specversion", "Only CloudEvents 1.0 is understood.");
                    break;
                case "datacontenttype":
                    if (Text(member, max: 100) != "application/json")
                        Fault("datacontenttype", "Only application/json is understood.");
                    break;
                default:
                    Fault(member.Name, "There is no such field.");
                    break;
            }
        }

        foreach (var required in new[] { "id", "source", "type", "time", "data" })
        {
            if (!json.TryGetProperty(required, out _))
                Fault(required, "The field is required.");
        }

        return faults.Count == 0 ? (new(source, id, type, subject, time!.Value, data), []) : (null, faults);

        void Fault(string field, string problem) => faults.Add(new(field, Malformed, problem, Malformed: true));

        string Text(JsonProperty member, int max)
        {
            var text = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString()! : "";
            if (text.Length >= 1 && text.Length <= max && !text.Any(char.IsControl))
                return text;
            Fault(member.Name, $"A string of 1 to {max} characters is needed.");
            return "";
        }

        Instant? Time(JsonProperty member)
        {
            var text = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString()! : "";
            if (OffsetDateTimePattern.ExtendedIso.Parse(text) is { Success: true } offset)
                return offset.Value.ToInstant().ToMicroseconds();
            Fault("time", "An instant is written in ISO 8601 with its offset, for example \"2026-11-22T04:20:00Z\".");
            return null;
        }

        void ReadData(JsonElement members)
        {
            if (members.ValueKind != JsonValueKind.Object)
            {
                Fault("data", "data is a JSON object of strings.");
                return;
            }

            foreach (var member in members.EnumerateObject())
            {
                var text = member.Value.ValueKind == JsonValueKind.String ? member.Value.GetString() : null;
                if (member.Value.ValueKind == JsonValueKind.Number)
                    Fault($"data.{member.Name}", "A quantity is a string of digits, \"12.50\": numbers lose decimals on the way.");
                else if (text is null || text.Length > 1000 || (member.Name + text).Contains('\0', StringComparison.Ordinal))
                    Fault($"data.{member.Name}", "Members of data are strings of at most 1000 characters.");
                else
                    data[member.Name] = text;
            }

            if (data.Count > 50)
                Fault("data", "At most 50 members.");
        }
    }

    /// <summary>Asks whether a readable event makes sense: a meter reads it, its quantities are ones, its time is plausible.</summary>
    /// <param name="meters">Those that read events of this type, at least.</param>
    public static IReadOnlyList<UsageFault> Check(
        UsageEvent it, IReadOnlyList<MeterView> meters, Instant now, UsageLimits limits)
    {
        var faults = new List<UsageFault>();
        var reading = meters.Where(meter => meter.EventType == it.Type).ToList();
        if (reading.Count == 0)
            Fault("type", "usage.meter_unknown", $"No meter reads events of the type {it.Type}.");
        if (it.Source.StartsWith(UsageOfBatch.SourcePrefix, StringComparison.Ordinal))
            Fault("source", "usage.source_reserved", $"Sources that begin with {UsageOfBatch.SourcePrefix} are for signed batches.");
        if (it.Time > now + limits.FutureMax)
            Fault("time", "usage.time_in_future", $"The time is more than {limits.FutureMax.TotalMinutes} minutes ahead.");
        if (it.Time < now - limits.AgeMax)
            Fault("time", "usage.time_too_old", $"The time is more than {limits.AgeMax.TotalDays} days ago.");

        var measuring = reading.Select(meter => meter.Latest).Where(meter => meter.ValueProperty is not null && meter.Passes(it.Data));
        foreach (var property in measuring.ToLookup(meter => meter.ValueProperty!, meter => meter.ReadsQuantity))
        {
            var field = $"data.{property.Key}";
            if (!it.Data.TryGetValue(property.Key, out var text))
                Fault(field, "usage.quantity_missing", "A meter needs this quantity.");
            else if (!property.Contains(true))
                continue;
            else if (!Decimals.TryParse(text, out var quantity))
                Fault(field, "usage.quantity_invalid", "A quantity is a plain decimal, for example \"12.50\".");
            else if (quantity < 0 || text[0] == '-')
                Fault(field, "usage.quantity_negative", "A quantity is not negative.");
            else if (quantity >= UsageLimits.QuantityMax || quantity.Scale > UsageLimits.DecimalsMax)
                Fault(field, "usage.quantity_out_of_range", OutOfRange);
        }

        return faults;

        void Fault(string field, string code, string problem) => faults.Add(new(field, code, problem, Malformed: false));
    }
}
