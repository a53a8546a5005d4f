using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>One event of the ledger as its tenant reads it, in the order in which the ledger took them.</summary>
/// <param name="Position">Grows with each event that the ledger takes; gaps mean nothing.</param>
/// <param name="Data">As reported, whatever was corrected since.</param>
/// <param name="Counted">The data that count now; null for a voided event.</param>
/// <param name="Corrections">In the order in which they were made.</param>
/// <param name="AttemptId">The attempt whose signed batch it comes from; null for reported usage.</param>
public sealed record UsageEventView(
    long Position, string Source, string Id, string Type, string? Subject, Instant Time, Instant ReceivedAt,
    IReadOnlyDictionary<string, string> Data, IReadOnlyDictionary<string, string>? Counted,
    IReadOnlyList<UsageCorrection> Corrections, AttemptId? AttemptId)
{
    public static void Map(RouteGroupBuilder usage) => usage.MapGet("/events", List).WithName("ListUsageEvents");

    private static async Task<Ok<Page<UsageEventView>>> List(
        [AsParameters] PageQuery page, string? type, string? from, string? to, Caller caller, BillingDatabase database,
        CancellationToken cancellation)
    {
        var rows = await database.Read(
            caller.TenantId,
            """
            select position, source, id, type, subject, time, received_at, data, attempt_id from billing.usage_events
            where tenant_id = $1 and position > $2 and ($3 is null or type = $3)
              and ($4 is null or time >= $4) and ($5 is null or time < $5)
            order by position limit $6
            """,
            Row,
            cancellation,
            Sql.P(caller.TenantId.Value), Sql.P(page.AfterPosition), Sql.Optional(type),
            Sql.Optional(QueryInstant.Optional(from, "from")), Sql.Optional(QueryInstant.Optional(to, "to")), Sql.P(page.Size + 1));

        var corrections = rows.Count == 0 ? [] : await database.Read(
            caller.TenantId,
            $"""
            select {UsageCorrection.Columns} from billing.usage_corrections
            where tenant_id = $1 and (source, event_id) in (select * from unnest($2, $3)) order by position
            """,
            UsageCorrection.Row,
            cancellation,
            Sql.P(caller.TenantId.Value), Sql.P([.. rows.Select(row => row.Source)]), Sql.P([.. rows.Select(row => row.Id)]));
        var byEvent = corrections.ToLookup(correction => (correction.Source, correction.Id));
        return TypedResults.Ok(page.Of(
            [.. rows.Select(row => row.With([.. byEvent[(row.Source, row.Id)]]))], row => PositionCursor.Of(row.Position)));
    }

    private UsageEventView With(IReadOnlyList<UsageCorrection> corrections) =>
        corrections is [.., var last] ? this with { Corrections = corrections, Counted = last.After } : this;

    private static UsageEventView Row(NpgsqlDataReader row)
    {
        var data = JsonSerializer.Deserialize(row.GetString(7), BillingJson.Default.DictionaryStringString)!;
        return new(
            row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.Text(4), row.Instant(5), row.Instant(6),
            data, Counted: data, Corrections: [], row.IsDBNull(8) ? null : new AttemptId(row.GetGuid(8)));
    }
}
