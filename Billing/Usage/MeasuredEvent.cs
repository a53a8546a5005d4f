using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>One of the events that a number of usage is made of, as it counts now: voided ones are not among them.</summary>
/// <param name="Data">With what was amended.</param>
/// <param name="Quantity">What the meter reads of it; null where it reads no quantity, or the event has none.</param>
/// <param name="AttemptId">The attempt whose signed batch it comes from; null for reported usage.</param>
public sealed record MeasuredEvent(
    long Position, string Source, string Id, string Type, string? Subject, Instant Time, Instant ReceivedAt, AttemptId? AttemptId,
    IReadOnlyDictionary<string, string> Data, decimal? Quantity)
{
    public static void Map(RouteGroupBuilder usage) => usage.MapGet("/measured-events", List).WithName("ListMeasuredEvents");

    internal static MeasuredEvent Row(NpgsqlDataReader row) => new(
        row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.Text(4), row.Instant(5), row.Instant(6),
        row.IsDBNull(7) ? null : new AttemptId(row.GetGuid(7)),
        JsonSerializer.Deserialize(row.GetString(8), BillingJson.Default.DictionaryStringString)!,
        Decimals.TryParse(row.Text(9), out var quantity) ? quantity : null);

    private static async Task<Results<Ok<Page<MeasuredEvent>>, ProblemHttpResult>> List(
        [AsParameters] PageQuery page, [AsParameters] UsageQuery query, Caller caller, Documents documents,
        BillingDatabase database, TenantClock clock, CancellationToken cancellation)
    {
        var (asked, problem) = await query.Read(caller.TenantId, documents, clock, cancellation);
        if (asked is null)
            return problem!;

        var (sql, parameters) = Measurement.Events(asked.Scope, page.AfterPosition, page.Size + 1);
        var rows = await database.Read(caller.TenantId, sql, Row, cancellation, parameters);
        return TypedResults.Ok(page.Of(rows, row => PositionCursor.Of(row.Position)));
    }
}
