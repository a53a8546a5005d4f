using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Platform.Contracts;

/// <summary>
/// Exact decimals as text: digits, at most one point, an optional minus; no exponent, no group separators, no spaces.
/// Quantities and amounts are strings in JSON, because many JSON readers turn numbers into binary floating point.
/// </summary>
public static class Decimals
{
    private const int DigitsMax = 28;

    private const NumberStyles Plain = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint;

    /// <summary>False for text that is no plain decimal, or that a <see cref="decimal"/> cannot hold exactly.</summary>
    public static bool TryParse(string? text, out decimal value)
    {
        value = 0;
        return text is { Length: > 0 and <= 31 } && text[0] != '+' && IsExact(text)
            && decimal.TryParse(text, Plain, CultureInfo.InvariantCulture, out value);
    }

    // More digits than that are rounded without a word when they are read.
    private static bool IsExact(string text)
    {
        var point = text.IndexOf('.', StringComparison.Ordinal);
        var decimals = point < 0 ? 0 : text.Length - point - 1;
        var significant = text.SkipWhile(c => c is '-' or '0' or '.').Count(char.IsAsciiDigit);
        return decimals <= DigitsMax && significant <= DigitsMax;
    }

    /// <summary>The shortest text that reads back as the same scale: 12.50 stays "12.50".</summary>
    public static string Format(decimal value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>The same number without trailing zeros, so that equal quantities have equal text and equal hashes.</summary>
    public static decimal Canonical(decimal value) => value / 1.0000000000000000000000000000m;
}

/// <summary>A decimal as a JSON string; a JSON number is refused, with a message that says what to write instead.</summary>
public sealed class DecimalStringConverter : JsonConverter<decimal>
{
    public override decimal Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Decimals.TryParse(reader.GetString(), out var value)
            ? value
            : throw new JsonException("A decimal is written as a string of digits, for example \"12.50\".");

    public override void Write(Utf8JsonWriter writer, decimal value, JsonSerializerOptions options) =>
        writer.WriteStringValue(
            Decimals.Format(value) is var text && Decimals.TryParse(text, out _)
                ? text
                : throw new JsonException("A decimal has at most 28 digits: nobody could read this one again. Round it first."));
}
