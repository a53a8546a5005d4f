using NodaTime;
using NodaTime.Text;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>Instants in query strings.</summary>
internal static class QueryInstant
{
    /// <exception cref="InvalidRequestException">The text is no instant.</exception>
    public static Instant? Optional(string? text, string field) => text is null ? null : Required(text, field);

    /// <exception cref="InvalidRequestException">The text is missing or no instant.</exception>
    public static Instant Required(string? text, string field) =>
        // Other years leave no room for arithmetic, or are none that a DateTime has.
        OffsetDateTimePattern.ExtendedIso.Parse(text ?? "") is { Success: true, Value.Year: >= 1 and < 9999 } parsed
            ? parsed.Value.ToInstant().ToMicroseconds()
            : throw new InvalidRequestException(field, "An instant in ISO 8601 is needed, for example 2026-11-22T04:20:00Z.");
}
