using NodaTime;
using NodaTime.Text;
using Platform.ServiceDefaults;

namespace Platform.Billing.Revenue;

/// <summary>Months (UTC) in query strings.</summary>
internal static class QueryMonth
{
    /// <exception cref="InvalidRequestException">The text is no month.</exception>
    public static YearMonth? Optional(string? text, string field) => text is null ? null : Required(text, field);

    /// <exception cref="InvalidRequestException">The text is missing or no month.</exception>
    public static YearMonth Required(string? text, string field) =>
        YearMonthPattern.Iso.Parse(text ?? "") is { Success: true, Value.Year: >= 1 and < 9999 } parsed
            ? parsed.Value
            : throw new InvalidRequestException(field, "A month in ISO 8601 is needed, for example 2026-11.");

    public static Instant EndOf(YearMonth month) => month.PlusMonths(1).OnDayOfMonth(1).AtMidnight().InUtc().ToInstant();

    public static string Text(YearMonth month) => YearMonthPattern.Iso.Format(month);
}
