using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime.Text;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>
/// All events behind a number, as CSV (RFC 4180, with a header) or as NDJSON. Rows go from the database's cursor to the caller as
/// fast as the caller reads, so that memory does not grow with their number. A response that ends early is not closed properly.
/// </summary>
public static class ExportUsage
{
    private const string Header = "position,source,id,type,subject,time,received_at,attempt_id,quantity,data\r\n";

    // No browser reads this as HTML: letters and quotes may stay as they are.
    private static readonly JsonSerializerOptions Json = new(Stored.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Map(RouteGroupBuilder usage) => usage.MapGet("/export", Handle).WithName(nameof(ExportUsage));

    private static async Task<Results<PushStreamHttpResult, ProblemHttpResult>> Handle(
        [AsParameters] UsageQuery query, string? format, Caller caller, Documents documents, BillingDatabase database,
        TenantClock clock, CancellationToken cancellation)
    {
        if (format is not ("csv" or "ndjson"))
            throw new InvalidRequestException("format", "csv or ndjson.");
        var (asked, problem) = await query.Read(caller.TenantId, documents, clock, cancellation);
        if (asked is null)
            return problem!;

        var (sql, parameters) = Measurement.Events(asked.Scope, after: 0, limit: null);
        var events = database.Stream(caller.TenantId, sql, MeasuredEvent.Row, cancellation, parameters);
        return format == "csv"
            ? TypedResults.Stream(body => RowStream.Write(body, Header, events, WriteCsv, cancellation), "text/csv; charset=utf-8", "usage.csv")
            : TypedResults.Stream(body => RowStream.Write(body, "", events, WriteJson, cancellation), "application/x-ndjson", "usage.ndjson");
    }

    private static void WriteJson(IBufferWriter<byte> output, MeasuredEvent it)
    {
        output.Write(JsonSerializer.SerializeToUtf8Bytes(it, Json.GetTypeInfo(typeof(MeasuredEvent))));
        output.Write("\n"u8);
    }

    private static void WriteCsv(IBufferWriter<byte> output, MeasuredEvent it)
    {
        string?[] fields =
        [
            it.Position.ToString(CultureInfo.InvariantCulture), it.Source, it.Id, it.Type, it.Subject,
            InstantPattern.ExtendedIso.Format(it.Time), InstantPattern.ExtendedIso.Format(it.ReceivedAt), it.AttemptId?.ToString(),
            it.Quantity is { } quantity ? Decimals.Format(quantity) : null,
            JsonSerializer.Serialize(it.Data.ToDictionary(), Json.GetTypeInfo(typeof(Dictionary<string, string>))),
        ];
        Encoding.UTF8.GetBytes(Csv.Record(fields), output);
    }
}
