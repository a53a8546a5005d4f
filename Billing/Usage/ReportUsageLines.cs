using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http.Features;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>
/// Takes usage as a stream of any length: one event a line, one answer a line, in order. What has come is stored chunk by chunk and
/// answered once it is in the ledger; the next chunk is read when the last one's answers are on their way, so memory stays the
/// same and a sender is slowed down to what the ledger takes. A stream that breaks off is sent again: each event is known by its
/// identity. The sender reads while it sends.
/// </summary>
public sealed class ReportUsageLines(ReportedUsage usage)
{
    public const string MediaType = "application/x-ndjson";

    /// <summary>What one stream can have in hand: a chunk, and the line that follows it.</summary>
    public const int BytesInHandMax = ChunkBytes + LineBytesMax;

    private const int LineBytesMax = 256 * 1024;
    private const int ChunkBytes = 1024 * 1024;
    private const int ChunkLines = 500;

    public static bool IsAskedFor(HttpRequest request) =>
        request.ContentType?.Split(';')[0].Trim().Equals(MediaType, StringComparison.OrdinalIgnoreCase) == true;

    public async Task Take(HttpContext http, Caller caller, CancellationToken cancellation)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
        http.Response.ContentType = MediaType;

        var lines = new UsageLines(http.Request.BodyReader, LineBytesMax);
        while (await lines.Next(ChunkLines, ChunkBytes, cancellation) is { Count: > 0 } chunk)
        {
            await Answer(http.Response.BodyWriter, chunk, await Take(chunk, caller, cancellation));
            await http.Response.BodyWriter.FlushAsync(cancellation);
        }
    }

    // A line that is no event is rejected by itself.
    private async Task<IReadOnlyList<ReportedOutcome>> Take(
        IReadOnlyList<UsageLine> chunk, Caller caller, CancellationToken cancellation)
    {
        var outcomes = new ReportedOutcome?[chunk.Count];
        var documents = new List<(int Place, JsonDocument Json)>();
        try
        {
            for (var i = 0; i < chunk.Count; i++)
            {
                if (chunk[i].Json is not { } json)
                    outcomes[i] = Rejected("usage.too_large", $"A line holds at most {LineBytesMax / 1024} KiB.");
                else if (Parse(json) is { } document)
                    documents.Add((i, document));
                else
                    outcomes[i] = Rejected("usage.malformed", "The line is not valid JSON, or names a field twice.");
            }

            var taken = await usage.Take([.. documents.Select(it => it.Json.RootElement)], caller, cancellation);
            foreach (var (outcome, it) in taken.Zip(documents))
                outcomes[it.Place] = outcome;
            return outcomes!;
        }
        finally
        {
            documents.ForEach(it => it.Json.Dispose());
        }

        static ReportedOutcome Rejected(string code, string problem) =>
            new(Source: null, Id: null, Outcome: null, [new("body", code, problem, Malformed: true)]);
    }

    private static JsonDocument? Parse(byte[] line)
    {
        try
        {
            return ReportedUsage.Parse(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static async ValueTask Answer(PipeWriter writer, IReadOnlyList<UsageLine> chunk, IReadOnlyList<ReportedOutcome> outcomes)
    {
        await using var json = new Utf8JsonWriter(writer);
        for (var i = 0; i < chunk.Count; i++)
        {
            JsonSerializer.Serialize(json, ReportUsage.LineResult.Of(chunk[i].Number, outcomes[i]), Stored.Json<ReportUsage.LineResult>());
            json.Flush();
            json.Reset();
            writer.Write("\n"u8);
        }
    }
}

/// <param name="Number">From 1.</param>
/// <param name="Json">Null for a line that is too long.</param>
internal readonly record struct UsageLine(long Number, byte[]? Json);

/// <summary>Cuts what comes into lines, and lines into chunks. Never holds more than a chunk and one unfinished line.</summary>
internal sealed class UsageLines(PipeReader reader, int lineBytesMax)
{
    private long number;
    private bool tooLong;

    /// <summary>What has come, up to the limits; waits only for the first line. Empty at the end of the stream.</summary>
    public async Task<IReadOnlyList<UsageLine>> Next(int linesMax, int bytesMax, CancellationToken cancellation)
    {
        var chunk = new List<UsageLine>();
        var bytes = 0;
        while (chunk.Count < linesMax && bytes < bytesMax)
        {
            if (!reader.TryRead(out var read))
            {
                if (chunk.Count > 0)
                    break;
                read = await reader.ReadAsync(cancellation);
            }

            var rest = read.Buffer;
            while (chunk.Count < linesMax && bytes < bytesMax && rest.PositionOf((byte)'\n') is { } end)
            {
                bytes += Add(chunk, rest.Slice(0, end));
                rest = rest.Slice(rest.GetPosition(1, end));
            }

            if (rest.PositionOf((byte)'\n') is not null)
            {
                reader.AdvanceTo(rest.Start);   // the chunk is full; the rest is read at once by the next
                break;
            }

            if (read.IsCompleted)
            {
                if (!rest.IsEmpty || tooLong)
                    Add(chunk, rest);
                reader.AdvanceTo(read.Buffer.End);
                break;
            }

            // Of a line that is too long only its end is looked for.
            tooLong |= rest.Length > lineBytesMax;
            reader.AdvanceTo(tooLong ? rest.End : rest.Start, rest.End);
        }

        return chunk;
    }

    private int Add(List<UsageLine> chunk, ReadOnlySequence<byte> line)
    {
        number++;
        var json = tooLong || line.Length > lineBytesMax ? null : line.ToArray();
        tooLong = false;
        // An empty line says nothing, and is counted so that numbers are those of the sender's file.
        if (json is null || !json.AsSpan().Trim(" \t\r"u8).IsEmpty)
            chunk.Add(new(number, json));
        return json?.Length ?? 0;
    }
}
