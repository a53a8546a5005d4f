using System.Globalization;
using NodaTime;

namespace Platform.Contracts.Verification;

/// <summary>
/// A part of the tree over an invoice's usage: events of one type and one hour (UTC), at most <see cref="SizeMax"/> of them, in the order
/// in which they were taken. Parts stand in ordinal order of their types, then by hour, then in the order of their events.
/// </summary>
/// <param name="Size">How many events.</param>
public sealed record UsagePart(string Type, Instant Hour, int Size)
{
    public const int SizeMax = 1024;

    /// <summary>The hour that a part has the events of.</summary>
    public static Instant HourOf(Instant time)
    {
        var into = time.ToUnixTimeTicks() % NodaConstants.TicksPerHour;
        return Instant.FromUnixTimeTicks(time.ToUnixTimeTicks() - (into < 0 ? into + NodaConstants.TicksPerHour : into));
    }

    /// <summary>What stands for the part in the tree over the parts: <c>usage-part.v1</c>, type, hour, size, root, as a leaf.</summary>
    /// <param name="root">Of the tree over its events.</param>
    public byte[] Hash(ReadOnlySpan<byte> root)
    {
        using var text = new UsageText();
        text.Part("usage-part.v1");
        text.Part(Type);
        text.Part(Hour);
        text.Part(Size.ToString(CultureInfo.InvariantCulture));
        text.Part(Convert.ToHexStringLower(root));
        return MerkleTree.HashOfLeaf(text.Written);
    }

    /// <summary>The root on the invoice: over <c>usage-tree.v2</c>, how many events and parts there are, and the root over the parts.</summary>
    /// <param name="size">How many events in all parts together.</param>
    public static byte[] Root(long size, long parts, ReadOnlySpan<byte> root)
    {
        using var text = new UsageText();
        text.Part("usage-tree.v2");
        text.Part(size.ToString(CultureInfo.InvariantCulture));
        text.Part(parts.ToString(CultureInfo.InvariantCulture));
        text.Part(Convert.ToHexStringLower(root));
        return Sha256.Hash(text.Written);
    }
}
