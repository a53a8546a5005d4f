using System.Buffers;
using System.Globalization;
using System.Text;
using NodaTime;

namespace Platform.Contracts.Verification;

/// <summary>
/// The bytes of usage that is hashed, part after part as <see cref="UsageLeaf"/> says. Every event that is taken is hashed, so they are
/// written straight into a buffer that is given back.
/// </summary>
internal sealed class UsageText : IDisposable
{
    private const int DigitsMax = 11;
    private const int TimeChars = 28;

    private static readonly Comparison<KeyValuePair<string, string>> byName = (one, other) => string.CompareOrdinal(one.Key, other.Key);

    private byte[] buffer = ArrayPool<byte>.Shared.Rent(1024);
    private int length;

    public ReadOnlySpan<byte> Written => buffer.AsSpan(0, length);

    public void Part(ReadOnlySpan<char> text) => Part("", text);

    /// <summary>Both texts as one part.</summary>
    public void Part(ReadOnlySpan<char> first, ReadOnlySpan<char> second)
    {
        var room = Room(DigitsMax + 1 + Encoding.UTF8.GetMaxByteCount(first.Length + second.Length));
        (first.Length + second.Length).TryFormat(room, out var digits, default, CultureInfo.InvariantCulture);
        room[digits] = (byte)':';
        room = room[(digits + 1)..];
        var bytes = Encoding.UTF8.GetBytes(first, room);
        length += digits + 1 + bytes + Encoding.UTF8.GetBytes(second, room[bytes..]);
    }

    // The ledger keeps microseconds; what is finer was cut off when the event was taken.
    public void Part(Instant time)
    {
        Span<char> text = stackalloc char[TimeChars];
        time.ToDateTimeUtc().TryFormat(text, out var written, "O", CultureInfo.InvariantCulture);
        // Without the seventh digit and the Z.
        Part(text[..(written - 2)].TrimEnd('0').TrimEnd('.'), "Z");
    }

    public void CountedMembers(IReadOnlyDictionary<string, string> data)
    {
        Part(data.Count.ToString(CultureInfo.InvariantCulture));
        Members(data);
    }

    public void Members(IReadOnlyDictionary<string, string> data)
    {
        var members = data.ToArray();
        Array.Sort(members, byName);
        foreach (var (name, value) in members)
        {
            Part(name);
            Part(!IsCanonical(value) && Decimals.TryParse(value, out var number) ? Decimals.Format(Decimals.Canonical(number)) : value);
        }
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(buffer);

    // Most quantities are whole numbers, and most other members begin with a letter: neither needs to be read as a decimal.
    private static bool IsCanonical(string value) =>
        value.Length > 0
        && (char.IsAsciiLetter(value[0]) || (value[0] is >= '1' and <= '9' && !value.AsSpan().ContainsAnyExceptInRange('0', '9')));

    private Span<byte> Room(int bytes)
    {
        if (buffer.Length - length < bytes)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(buffer.Length * 2, length + bytes));
            Written.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = larger;
        }

        return buffer.AsSpan(length);
    }
}
