using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using NodaTime;
using NodaTime.Text;

namespace Platform.Contracts;

/// <summary>How contracts look as JSON: snake_case names, decimals and instants as strings, missing fields are errors.</summary>
public static class ContractsJson
{
    /// <summary>For whoever reads or writes messages without the bus.</summary>
    public static readonly JsonSerializerOptions Options = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    /// <summary>
    /// For whoever verifies what others wrote: names are exact, and none is given twice, so that nobody reads one content and verifies
    /// another.
    /// </summary>
    public static readonly JsonSerializerOptions Strict =
        new(Options) { PropertyNameCaseInsensitive = false, AllowDuplicateProperties = false };

    /// <summary>
    /// Adds what the contracts need to a serializer that also carries other types (the bus's envelope): only types of
    /// this assembly get snake_case names.
    /// </summary>
    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.Converters.Add(new InstantConverter());
        options.Converters.Add(new LocalDateConverter());
        options.Converters.Add(new DecimalStringConverter());
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower));
        options.AllowOutOfOrderMetadataProperties = true;
        options.RespectRequiredConstructorParameters = true;
        options.RespectNullableAnnotations = true;
        options.TypeInfoResolver = (options.TypeInfoResolver ?? new DefaultJsonTypeInfoResolver())
            .WithAddedModifier(SnakeCaseForContracts);
        return options;
    }

    private static void SnakeCaseForContracts(JsonTypeInfo type)
    {
        if (type.Type.Assembly != typeof(ContractsJson).Assembly)
            return;

        foreach (var property in type.Properties)
            property.Name = JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name);
    }
}

/// <summary>ISO 8601 in UTC with up to nine decimals, for example <c>2026-11-22T04:20:00.123456Z</c>.</summary>
public sealed class InstantConverter : JsonConverter<Instant>
{
    public override Instant Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        // Other systems also send an offset; the instant is the same one.
        var text = reader.TokenType == JsonTokenType.String ? reader.GetString()! : "";
        if (InstantPattern.ExtendedIso.Parse(text) is { Success: true } utc)
            return utc.Value;
        if (OffsetDateTimePattern.ExtendedIso.Parse(text) is { Success: true } offset)
            return offset.Value.ToInstant();

        throw new JsonException("An instant is written in ISO 8601, for example \"2026-11-22T04:20:00Z\".");
    }

    public override void Write(Utf8JsonWriter writer, Instant value, JsonSerializerOptions options) =>
        writer.WriteStringValue(InstantPattern.ExtendedIso.Format(value));
}

/// <summary>A time of day in whole minutes, for example <c>08:00</c>; <c>24:00</c> is midnight too, where something ends.</summary>
public sealed class LocalTimeConverter : JsonConverter<LocalTime>
{
    private static readonly LocalTimePattern Minutes = LocalTimePattern.CreateWithInvariantCulture("HH:mm");

    public override LocalTime Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType == JsonTokenType.String ? reader.GetString()! : "") switch
        {
            "24:00" => LocalTime.Midnight,
            var text when Minutes.Parse(text) is { Success: true } time => time.Value,
            _ => throw new JsonException("A time of day is written in hours and minutes, for example \"08:00\"."),
        };

    public override void Write(Utf8JsonWriter writer, LocalTime value, JsonSerializerOptions options) =>
        writer.WriteStringValue(Minutes.Format(value));
}

/// <summary>ISO 8601 calendar date, for example <c>2026-11-22</c>.</summary>
public sealed class LocalDateConverter : JsonConverter<LocalDate>
{
    public override LocalDate Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        LocalDatePattern.Iso.Parse(reader.TokenType == JsonTokenType.String ? reader.GetString()! : "") is { Success: true } date
            ? date.Value
            : throw new JsonException("A date is written in ISO 8601, for example \"2026-11-22\".");

    public override void Write(Utf8JsonWriter writer, LocalDate value, JsonSerializerOptions options) =>
        writer.WriteStringValue(LocalDatePattern.Iso.Format(value));
}
