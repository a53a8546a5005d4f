using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using NodaTime;

namespace Platform.Billing.Usage;

/// <summary>
/// Rows as PostgreSQL's COPY reads them (the manual's "COPY", binary format): of each the number of its columns, of each column its length and
/// bytes, -1 for null; all numbers with the highest byte first. Npgsql's own importer asks for each value whether it fits the buffer, which
/// costs as much as the rest of a row.
/// </summary>
internal sealed class CopyRows
{
    private const int SendBytes = 32 * 1024;
    private const byte JsonbVersion = 1;

    private static readonly Instant Epoch = Instant.FromUtc(2000, 1, 1, 0, 0);

    // Half a surrogate pair is no text; nothing may stand for it.
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ArrayBufferWriter<byte> buffer = new(2 * SendBytes);

    public CopyRows()
    {
        // Signature, no flags, no extension.
        buffer.Write<byte>([.. "PGCOPY\n"u8, 0xFF, .. "\r\n\0"u8, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    public bool IsFull => buffer.WrittenCount >= SendBytes;

    public void Row(short columns) => Number(columns);

    public void Add(long value)
    {
        Length(sizeof(long));
        BinaryPrimitives.WriteInt64BigEndian(buffer.GetSpan(sizeof(long)), value);
        buffer.Advance(sizeof(long));
    }

    public void Add(Instant value) => Add((value - Epoch).BclCompatibleTicks / (NodaConstants.TicksPerMillisecond / 1_000));

    public void Add(Guid? value)
    {
        if (value is not { } id)
        {
            Null();
            return;
        }

        const int size = 16;
        Length(size);
        id.TryWriteBytes(buffer.GetSpan(size), bigEndian: true, out _);
        buffer.Advance(size);
    }

    public void Add(byte[] value)
    {
        Length(value.Length);
        buffer.Write(value);
    }

    public void Add(string? value)
    {
        if (value is null)
        {
            Null();
            return;
        }

        var span = buffer.GetSpan(sizeof(int) + Utf8.GetMaxByteCount(value.Length));
        var size = Utf8.GetBytes(value, span[sizeof(int)..]);
        BinaryPrimitives.WriteInt32BigEndian(span, size);
        buffer.Advance(sizeof(int) + size);
    }

    /// <param name="text">In UTF-8.</param>
    public void AddJson(byte[] text)
    {
        Length(1 + text.Length);
        buffer.Write<byte>([JsonbVersion]);
        buffer.Write(text);
    }

    /// <summary>Nothing comes after.</summary>
    public void End() => Number(-1);

    /// <summary>What was added since it was last sent.</summary>
    public async Task Send(Stream copy, CancellationToken cancellation)
    {
        await copy.WriteAsync(buffer.WrittenMemory, cancellation);
        buffer.ResetWrittenCount();
    }

    private void Null() => Length(-1);

    private void Number(short value)
    {
        BinaryPrimitives.WriteInt16BigEndian(buffer.GetSpan(sizeof(short)), value);
        buffer.Advance(sizeof(short));
    }

    private void Length(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(buffer.GetSpan(sizeof(int)), value);
        buffer.Advance(sizeof(int));
    }
}
