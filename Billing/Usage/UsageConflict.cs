using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>
/// An event that was refused because the ledger has its identity with other content. Nothing was charged for it; the list says
/// so that a sender's mistake is seen and not guessed from totals.
/// </summary>
/// <param name="Kept">What the ledger has, as it was first reported; null where retention had taken it before.</param>
/// <param name="Refused">What was sent later under the same identity. The same content sent again is listed once.</param>
/// <param name="ReportedBy">Who sent it first: an API key or a worker.</param>
public sealed record UsageConflict(
    long Position, string Source, string Id, UsageConflict.ConflictingContent? Kept, UsageConflict.ConflictingContent Refused,
    string ReportedBy, Instant ReportedAt)
{
    /// <summary>An event without its identity.</summary>
    public sealed record ConflictingContent(string Type, string? Subject, Instant Time, IReadOnlyDictionary<string, string> Data);

    public static void Map(RouteGroupBuilder usage) => usage.MapGet("/conflicts", List).WithName("ListUsageConflicts");

    private static async Task<Ok<Page<UsageConflict>>> List(
        [AsParameters] PageQuery page, Caller caller, BillingDatabase database, CancellationToken cancellation)
    {
        var rows = await database.Read(
            caller.TenantId,
            """
            select position, source, event_id, reported_by, reported_at, kept_type, kept_subject, kept_time, kept_data,
                   type, subject, time, data
            from billing.usage_conflicts where tenant_id = $1 and position > $2 order by position limit $3
            """,
            row => new UsageConflict(
                row.GetInt64(0), row.GetString(1), row.GetString(2), row.IsDBNull(5) ? null : ContentAt(row, 5), ContentAt(row, 9),
                row.GetString(3), row.Instant(4)),
            cancellation,
            Sql.P(caller.TenantId.Value), Sql.P(page.AfterPosition), Sql.P(page.Size + 1));
        return TypedResults.Ok(page.Of(rows, row => PositionCursor.Of(row.Position)));
    }

    private static ConflictingContent ContentAt(NpgsqlDataReader row, int column) => new(
        row.GetString(column), row.Text(column + 1), row.Instant(column + 2),
        JsonSerializer.Deserialize(row.GetString(column + 3), BillingJson.Default.DictionaryStringString)!);
}
