using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Unicode;
using Platform.Contracts.Verification;

namespace Platform.Billing.Usage;

/// <summary>
/// What the ledger knows an event by, in 16 bytes each. The key stands for (source, id): a SHA-256 cut to 16 bytes, or, where the
/// id itself begins with its time (UUID version 7, ULID), those six bytes and ten of the hash, so that what is new lands in
/// pages that are in memory. The content stands for all else, cut from <see cref="UsageEvent.ContentHash"/>.
/// </summary>
public static class UsageIdentity
{
    private const int TimeBytes = 6;
    private const int DigitsMax = 11;
    private const int StackBytesMax = 512;

    // Crockford's base 32.
    private const string UlidDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// <summary>Depends on source and id alone, and stands in the database: it can never change.</summary>
    public static Guid Key(string source, string id)
    {
        var size = DigitsMax + 1 + Encoding.UTF8.GetMaxByteCount(source.Length + id.Length);
        var text = size <= StackBytesMax ? stackalloc byte[StackBytesMax] : new byte[size];
        // The length before the text: no two pairs can read the same.
        Utf8.TryWrite(text, CultureInfo.InvariantCulture, $"{source.Length}:{source}{id}", out var written);
        Span<byte> key = stackalloc byte[SHA256.HashSizeInBytes];
        Sha256.Hash(text[..written], key);
        if (TimeOf(id) is { } milliseconds)
        {
            key[..(16 - TimeBytes)].CopyTo(key[TimeBytes..]);
            Span<byte> time = stackalloc byte[8];
            BinaryPrimitives.WriteInt64BigEndian(time, milliseconds);
            time[2..].CopyTo(key);
        }

        return new(key[..16], bigEndian: true);
    }

    public static Guid Content(byte[] contentHash) => new(contentHash.AsSpan(0, 16), bigEndian: true);

    // The 48 bits of milliseconds that both kinds of id begin with.
    private static long? TimeOf(string id) => id.Length switch
    {
        36 when id[14] == '7' && Guid.TryParseExact(id, "D", out var uuid) => TimeOf(uuid),
        26 when id[0] is >= '0' and <= '7' => TimeOfUlid(id),
        _ => null,
    };

    private static long TimeOf(Guid uuid)
    {
        Span<byte> bytes = stackalloc byte[16];
        uuid.TryWriteBytes(bytes, bigEndian: true, out _);
        return BinaryPrimitives.ReadInt64BigEndian(bytes) >> 16 & 0xFFFF_FFFF_FFFF;
    }

    private static long? TimeOfUlid(string id)
    {
        var time = 0L;
        foreach (var character in id.AsSpan(0, 10))
        {
            if (UlidDigits.IndexOf(char.ToUpperInvariant(character), StringComparison.Ordinal) is var digit and >= 0)
                time = time << 5 | (long)digit;
            else
                return null;
        }

        return time;
    }
}
