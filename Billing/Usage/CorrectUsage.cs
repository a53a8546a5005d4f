using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Billing.Tenants;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>
/// Voids an event or amends its data. The ledger keeps the event and the correction. While the event's period is open, the
/// period counts the corrected value; once it is closed, the difference is a line of the next invoice.
/// </summary>
public static class CorrectUsage
{
    /// <param name="Source">With <paramref name="Id"/> the event to correct; in the body, because they hold any text.</param>
    /// <param name="Data">All data that count from now on, for an amend; the event's type, subject and time stay.</param>
    public sealed record NewCorrection(
        UsageCorrectionKind Kind, string Source, string Id, string Reason, IReadOnlyDictionary<string, string>? Data = null);

    /// <summary>An event of the ledger as its corrections left it.</summary>
    /// <param name="FromWorker">It comes from a worker's signed batch.</param>
    /// <param name="Counted">The data that count now; null once it is voided.</param>
    public sealed record LedgerEvent(UsageEvent Reported, bool FromWorker, IReadOnlyDictionary<string, string>? Counted);

    /// <summary>Whether an event may be corrected by somebody. Pure.</summary>
    public static Refusal? Refuse(LedgerEvent? found, bool byOperator) => found switch
    {
        null => Refusal.Because("usage_event.not_found", "There is no such usage event."),
        { FromWorker: true } when !byOperator =>
            Refusal.Because("usage_event.forbidden", "What a worker signed can only be corrected by an operator."),
        { Counted: null } => Refusal.Because("usage_event.voided", "The event is voided; that is final."),
        _ => null,
    };

    public static void Map(RouteGroupBuilder usage) =>
        usage.MapPost("/corrections", Handle).WithName(nameof(CorrectUsage)).ForUsageReporters().Idempotent();

    private static async Task<Results<Created<UsageCorrection>, ProblemHttpResult>> Handle(
        NewCorrection request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TenantClock clock,
        UsageLimits limits, CancellationToken cancellation)
    {
        Check(request);
        var (correction, problem) = await store.Transact<(UsageCorrection?, ProblemHttpResult?)>(
            caller.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                // The lane is held: nobody corrects or closes a period meanwhile.
                if (await Made(transaction, requestId.Value, token) is { } before)
                    return (before, null);

                var found = await Find(transaction, request.Source, request.Id, token);
                if (Refuse(found, caller.IsOperator) is { } refusal)
                    return (null, refusal.ToProblem());

                var now = await clock.Now(caller.TenantId, token);
                if (request.Data is { } data)
                {
                    var amended = found!.Reported with { Data = data };
                    var meters = await MeterView.OfEventTypes(documents, [amended.Type], token);
                    var faults = UsageEventReader.Check(amended, meters, now, limits)
                        .Where(fault => fault.Field.StartsWith("data.", StringComparison.Ordinal)).ToList();
                    if (faults.Count > 0)
                        return (null, Invalid(faults));
                }

                return (await Insert(transaction, requestId.Value, request, found!, caller.Cause.Actor!, now, token), null);
            },
            cancellation);
        return correction is null ? problem! : TypedResults.Created((string?)null, correction);
    }

    private static void Check(NewCorrection request) => new FieldErrors()
        .Require(IsName(request.Source), "source", "A string of 1 to 200 characters is needed.")
        .Require(IsName(request.Id), "id", "A string of 1 to 200 characters is needed.")
        .RequireReason(request.Reason)
        .Require(request.Kind != UsageCorrectionKind.Void || request.Data is null, "data", "A void has no data.")
        .Require(request.Kind != UsageCorrectionKind.Amend || request.Data is not null, "data", "An amend names all data that count.")
        .Require(request.Data is null || request.Data.Count <= 50, "data", "At most 50 members.")
        .Require(
            request.Data is null || request.Data.All(member => IsStorable(member.Key) && member.Value is not null && IsStorable(member.Value)),
            "data", "Members of data are strings of at most 1000 characters.")
        .ThrowIfAny();

    private static bool IsName(string text) => text.Length is >= 1 and <= 200 && !text.Any(char.IsControl);

    private static bool IsStorable(string text) => text.Length <= 1000 && !text.Contains('\0', StringComparison.Ordinal);

    private static ProblemHttpResult Invalid(List<UsageFault> faults) => Problems.Problem(
        StatusCodes.Status422UnprocessableEntity, faults[0].Code, "The amended data are not valid; nothing was stored.",
        ReportUsage.ByField(faults));

    // A retry whose first answer was lost finds its own work.
    private static async Task<UsageCorrection?> Made(EventTransaction transaction, Guid id, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            $"select {UsageCorrection.Columns} from billing.usage_corrections where tenant_id = $1 and id = $2",
            Sql.P(transaction.TenantId), Sql.P(id));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? UsageCorrection.Row(reader) : null;
    }

    private static async Task<LedgerEvent?> Find(
        EventTransaction transaction, string source, string id, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            """
            select event.type, event.subject, event.time, event.data, event.attempt_id is not null,
                   correction.position is not null, correction.after
            from billing.usage_identities known
            join billing.usage_events event
              on event.tenant_id = $1 and event.position = known.position and event.time = known.time
            left join lateral (
                select position, after from billing.usage_corrections made
                where made.tenant_id = $1 and made.source = $2 and made.event_id = $3
                order by position desc limit 1) correction on true
            where known.tenant_id = $1 and known.key = $4
            """,
            Sql.P(transaction.TenantId), Sql.P(source), Sql.P(id), Sql.P(UsageIdentity.Key(source, id)));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        if (!await reader.ReadAsync(cancellation))
            return null;

        var reported = new UsageEvent(source, id, reader.GetString(0), reader.Text(1), reader.Instant(2), Data(reader, 3)!);
        return new(reported, reader.GetBoolean(4), reader.GetBoolean(5) ? Data(reader, 6) : reported.Data);
    }

    private static async Task<UsageCorrection> Insert(
        EventTransaction transaction, Guid id, NewCorrection request, LedgerEvent found, string actor, Instant now,
        CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            $"""
            insert into billing.usage_corrections
                (tenant_id, id, kind, source, event_id, type, time, before, after, reason, actor, corrected_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12)
            returning {UsageCorrection.Columns}
            """,
            Sql.P(transaction.TenantId), Sql.P(id), Sql.P(request.Kind == UsageCorrectionKind.Void ? "void" : "amend"),
            Sql.P(request.Source), Sql.P(request.Id), Sql.P(found.Reported.Type), Sql.P(found.Reported.Time),
            Sql.Json(Json(found.Counted!)), Sql.Optional(request.Data is { } data ? Json(data) : null), Sql.P(request.Reason),
            Sql.P(actor), Sql.P(now));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return UsageCorrection.Row(reader);
    }

    private static Dictionary<string, string>? Data(NpgsqlDataReader row, int column) => row.IsDBNull(column)
        ? null
        : JsonSerializer.Deserialize(row.GetString(column), BillingJson.Default.DictionaryStringString);

    private static string Json(IReadOnlyDictionary<string, string> data) =>
        JsonSerializer.Serialize(data.ToDictionary(), BillingJson.Default.DictionaryStringString);
}
