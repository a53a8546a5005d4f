using System.Text.Encodings.Web;
using System.Text.Json;

namespace Platform.Billing.Tests;

internal static class Pretty
{
    private static readonly JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The same JSON, indented, for approval files.</summary>
    public static string Json(ReadOnlySpan<byte> json) =>
        JsonSerializer.Serialize(JsonSerializer.Deserialize<JsonElement>(json), Options);

    public static string Json(JsonElement json) => JsonSerializer.Serialize(json, Options);
}
