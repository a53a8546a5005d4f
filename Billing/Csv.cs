using System.Buffers;

namespace Platform.Billing;

/// <summary>RFC 4180: fields with commas, quotes or line breaks are quoted, records end in CRLF.</summary>
internal static class Csv
{
    private static readonly SearchValues<char> Quoted = SearchValues.Create(",\"\r\n");

    public static string Record(IEnumerable<string?> fields) => string.Join(',', fields.Select(Field)) + "\r\n";

    private static string? Field(string? text) => text.AsSpan().ContainsAny(Quoted)
        ? $"\"{text!.Replace("\"", "\"\"", StringComparison.Ordinal)}\""
        : text;
}
