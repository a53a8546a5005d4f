using System.Buffers.Binary;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>Cursors are ids elsewhere; in lists by ledger position, the position takes the place of one.</summary>
internal static class PositionCursor
{
    extension(PageQuery page)
    {
        /// <summary>The position after which the page begins; 0 for the first page.</summary>
        public long AfterPosition => page.After is { } cursor ? PositionOf(cursor) : 0;
    }

    public static Guid Of(long position)
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
