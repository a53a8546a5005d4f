using System.Numerics;

namespace Platform.Contracts.Verification;

/// <summary>
/// The Merkle tree of RFC 9162, section 2.1 (and of RFC 6962), on SHA-256. A leaf's hash is over 0x00 and the leaf, a node's over
/// 0x01 and its two children, so that no node can pass for a leaf. Of n leaves the left child holds the largest power of two below n.
/// </summary>
public static class MerkleTree
{
    private const byte LeafPrefix = 0x00;
    private const byte NodePrefix = 0x01;

    public static byte[] HashOfLeaf(ReadOnlySpan<byte> leaf) => Sha256.Hash([LeafPrefix, .. leaf]);

    public static byte[] HashOfNode(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right) =>
        Sha256.Hash([NodePrefix, .. left, .. right]);

    /// <param name="hashes">Of the leaves, or of subtrees of one power of two of leaves, of which only the last may have fewer.</param>
    public static byte[] Root(ReadOnlySpan<byte[]> hashes)
    {
        var tree = new GrowingMerkleTree();
        foreach (var hash in hashes)
            tree.Add(hash);
        return tree.Root();
    }

    /// <summary>The hashes that lead from a leaf to the root, the leaf's sibling first.</summary>
    public static IReadOnlyList<byte[]> PathOf(int index, ReadOnlySpan<byte[]> hashes)
    {
        if (hashes.Length == 1)
            return [];

        var left = 1 << BitOperations.Log2((uint)hashes.Length - 1);
        return index < left
            ? [.. PathOf(index, hashes[..left]), Root(hashes[left..])]
            : [.. PathOf(index - left, hashes[left..]), Root(hashes[..left])];
    }

    /// <summary>The root that a path leads to (RFC 9162, 2.1.3.2), or null where a tree of this size has no such path.</summary>
    /// <param name="index">0 for the first leaf.</param>
    public static byte[]? RootFrom(ReadOnlySpan<byte> leafHash, long index, long size, IEnumerable<byte[]> path)
    {
        if (index < 0 || index >= size)
            return null;

        var (node, last, hash) = (index, size - 1, leafHash.ToArray());
        foreach (var sibling in path)
        {
            if (last == 0)
                return null;
            if (IsOdd(node) || node == last)
            {
                hash = HashOfNode(sibling, hash);
                // The right edge of the tree has no siblings on the levels between.
                for (; !IsOdd(node) && node != 0; node >>= 1)
                    last >>= 1;
            }
            else
            {
                hash = HashOfNode(hash, sibling);
            }

            node >>= 1;
            last >>= 1;
        }

        return last == 0 ? hash : null;

        static bool IsOdd(long number) => (number & 1) == 1;
    }
}

/// <summary>A tree that grows leaf by leaf and keeps only the roots of its whole subtrees: one hash per binary digit of its size.</summary>
public sealed class GrowingMerkleTree
{
    // The largest subtree first.
    private readonly List<byte[]> whole;

    public GrowingMerkleTree() => whole = [];

    /// <summary>A tree that was put away as its size and its <see cref="Peaks"/>.</summary>
    public GrowingMerkleTree(long size, IEnumerable<byte[]> peaks)
    {
        whole = [.. peaks];
        Size = size;
        if (whole.Count != BitOperations.PopCount((ulong)size))
            throw new ArgumentException($"A tree of {size} leaves does not have {whole.Count} whole subtrees.", nameof(peaks));
    }

    public long Size { get; private set; }

    /// <summary>The roots of its whole subtrees, the largest first.</summary>
    public IReadOnlyList<byte[]> Peaks => whole;

    public void Add(byte[] hash)
    {
        for (var size = Size; (size & 1) == 1; size >>= 1)
        {
            hash = MerkleTree.HashOfNode(whole[^1], hash);
            whole.RemoveAt(whole.Count - 1);
        }

        whole.Add(hash);
        Size++;
    }

    /// <summary>The root of the leaves so far; of none the hash of nothing.</summary>
    public byte[] Root()
    {
        if (whole.Count == 0)
            return Sha256.Hash([]);

        var root = whole[^1];
        for (var i = whole.Count - 2; i >= 0; i--)
            root = MerkleTree.HashOfNode(whole[i], root);
        return root;
    }
}
