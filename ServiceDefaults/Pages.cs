using System.Buffers.Text;
using Microsoft.AspNetCore.Mvc;

namespace Platform.ServiceDefaults;

/// <summary>One page of a list. <see cref="NextCursor"/> is null on the last page.</summary>
public sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor);

/// <summary>Which page of a list: <c>?limit=</c> (1 to 200, 50 if absent) and <c>?cursor=</c> from the page before.</summary>
public sealed record PageQuery([FromQuery(Name = "limit")] int? Limit, [FromQuery(Name = "cursor")] string? Cursor)
{
    /// <exception cref="InvalidRequestException">limit is out of range.</exception>
    public int Size => Limit is null or (>= 1 and <= 200)
        ? Limit ?? 50
        : throw new InvalidRequestException("limit", "Between 1 and 200 items can be asked for.");

    /// <summary>The id after which the page begins; null for the first page.</summary>
    /// <exception cref="InvalidRequestException">cursor did not come from this list.</exception>
    public Guid? After
    {
        get
        {
            if (Cursor is null)
                return null;

            Span<byte> bytes = stackalloc byte[24];
            return Base64Url.IsValid(Cursor, out var length) && length == 16
                && Base64Url.TryDecodeFromChars(Cursor, bytes, out _)
                ? new Guid(bytes[..16])
                : throw new InvalidRequestException("cursor", "The cursor is not one that this list gave.");
        }
    }

    /// <summary>Makes a page from up to <see cref="Size"/> + 1 rows: the extra row only tells that there is more.</summary>
    public Page<T> Of<T>(IReadOnlyList<T> rows, Func<T, Guid> idOf) => rows.Count <= Size
        ? new(rows, NextCursor: null)
        : new([.. rows.Take(Size)], Base64Url.EncodeToString(idOf(rows[Size - 1]).ToByteArray()));
}
