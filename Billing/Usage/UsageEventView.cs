using System.Buffers.Binary;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>One event of the ledger as its tenant reads it, in the order in which the ledger took them.</summary>
/// <param name="Position">Grows with each event that the ledger takes; gaps mean nothing.</param>
/// <param name="AttemptId">The attempt whose signed batch it comes from; null for reported usage.</param>
public sealed record UsageEventView(
    long Position, string Source, string Id, string Type, string? Subject, Instant Time, Instant ReceivedAt,
    IReadOnlyDictionary<string, string> Data, AttemptId? AttemptId)
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
            Sql.P(caller.TenantId.Value), Sql.P(page.After is { } after ? PositionOf(after) : 0L), Sql.Optional(type),
            Sql.Optional(QueryInstant.Optional(from, "from")), Sql.Optional(QueryInstant.Optional(to, "to")), Sql.P(page.Size + 1));
        return TypedResults.Ok(page.Of(rows, row => CursorOf(row.Position)));
    }

    private static UsageEventView Row(NpgsqlDataReader row) => new(
        row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.Text(4), row.Instant(5), row.Instant(6),
        JsonSerializer.Deserialize(row.GetString(7), BillingJson.Default.DictionaryStringString)!,
        row.IsDBNull(8) ? null : new AttemptId(row.GetGuid(8)));

    // Cursors are ids elsewhere; here a position takes the place of one.
    private static Guid CursorOf(long position)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes[8..], position);
        return new(bytes);
    }

    private static long PositionOf(Guid cursor)
    {
        Span<byte> bytes = stackalloc byte[16];
        cursor.TryWriteBytes(bytes);
        return BinaryPrimitives.ReadInt64BigEndian(bytes[8..]);
    }
}
