using System.Text.Json;
using NodaTime;
using Npgsql;

namespace Platform.Billing.Usage;

public enum UsageCorrectionKind
{
    /// <summary>The event counts no more.</summary>
    Void,

    /// <summary>The event counts with other data.</summary>
    Amend,
}

/// <summary>What was said about an event later. The event itself stays in the ledger as it was reported.</summary>
/// <param name="Position">The correction's own place in the ledger.</param>
/// <param name="Id">With <paramref name="Source"/> the identity of the event that it corrects.</param>
/// <param name="Actor">The API key that corrected.</param>
/// <param name="Before">The data that counted until then.</param>
/// <param name="After">The data that count since; null for a void.</param>
public sealed record UsageCorrection(
    Guid CorrectionId, long Position, UsageCorrectionKind Kind, string Source, string Id, string Reason, string Actor, Instant At,
    IReadOnlyDictionary<string, string> Before, IReadOnlyDictionary<string, string>? After)
{
    internal const string Columns = "id, position, kind, source, event_id, reason, actor, corrected_at, before, after";

    internal static UsageCorrection Row(NpgsqlDataReader row) => new(
        row.GetGuid(0), row.GetInt64(1), row.GetString(2) == "void" ? UsageCorrectionKind.Void : UsageCorrectionKind.Amend,
        row.GetString(3), row.GetString(4), row.GetString(5), row.GetString(6), row.Instant(7), Data(row.GetString(8)),
        row.IsDBNull(9) ? null : Data(row.GetString(9)));

    private static Dictionary<string, string> Data(string json) =>
        JsonSerializer.Deserialize(json, BillingJson.Default.DictionaryStringString)!;
}
