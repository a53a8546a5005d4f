using System.Buffers;
using System.IO.Pipelines;
using System.Text;

namespace Platform.Billing;

/// <summary>Writes rows as they come, as fast as the caller reads: memory does not grow with their number.</summary>
internal static class RowStream
{
    private const int FlushBytes = 64 * 1024;

    public static async Task Write<T>(
        Stream body, string header, IAsyncEnumerable<T> rows, Action<IBufferWriter<byte>, T> write, CancellationToken cancellation)
    {
        var output = PipeWriter.Create(body, new(leaveOpen: true));
        Encoding.UTF8.GetBytes(header, output);
        await foreach (var row in rows.WithCancellation(cancellation))
        {
            write(output, row);
            if (output.UnflushedBytes >= FlushBytes)
                await output.FlushAsync(cancellation);
        }

        await output.CompleteAsync();
    }
}
