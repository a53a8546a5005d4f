using FsCheck;
using FsCheck.Fluent;
using Platform.Contracts.Verification;

namespace Platform.Contracts.Tests.Verification;

public class MerkleTreeSpecs
{
    // Leaves, roots and paths of the reference implementation of RFC 6962.
    private static readonly string[] leaves =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    [Theory]
    [InlineData(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")]
    [InlineData(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")]
    [InlineData(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77")]
    [InlineData(4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")]
    [InlineData(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4")]
    [InlineData(6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef")]
    [InlineData(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c")]
    [InlineData(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")]
    public void The_reference_trees_have_their_roots(int size, string root) =>
        Hex(MerkleTree.Root(Hashes(size))).ShouldBe(root);

    [Theory]
    [InlineData(0, 1, "")]
    [InlineData(0, 8, "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7 5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e 6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4")]
    [InlineData(5, 8, "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0 d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")]
    [InlineData(2, 3, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")]
    [InlineData(1, 5, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d 5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b")]
    public void The_reference_trees_have_their_paths(int index, int size, string path)
    {
        var hashes = Hashes(size);

        string.Join(' ', MerkleTree.PathOf(index, hashes).Select(Hex)).ShouldBe(path);
        MerkleTree.RootFrom(hashes[index], index, size, MerkleTree.PathOf(index, hashes)).ShouldBe(MerkleTree.Root(hashes));
    }

    [Fact]
    public void Every_leaf_of_a_tree_leads_to_its_root_and_nothing_else_does()
    {
        for (var size = 1; size <= 70; size++)
        {
            var hashes = Numbered(size);
            var root = MerkleTree.Root(hashes);
            for (var index = 0; index < size; index++)
            {
                var path = MerkleTree.PathOf(index, hashes);
                MerkleTree.RootFrom(hashes[index], index, size, path).ShouldBe(root);

                for (var other = -1; other <= size; other++)
                {
                    if (other != index)
                        MerkleTree.RootFrom(hashes[index], other, size, path).ShouldNotBe(root, $"{index} as {other} of {size}");
                }

                MerkleTree.RootFrom(MerkleTree.HashOfLeaf([0xFF]), index, size, path).ShouldNotBe(root);
                MerkleTree.RootFrom(hashes[index], index, size, [.. path, root]).ShouldBeNull("a path too long");
                if (path.Count > 0)
                    MerkleTree.RootFrom(hashes[index], index, size, path.SkipLast(1)).ShouldBeNull("a path too short");
            }
        }
    }

    [Fact]
    public void A_node_is_no_leaf()
    {
        var hashes = Hashes(2);

        MerkleTree.HashOfLeaf([.. hashes[0], .. hashes[1]]).ShouldNotBe(MerkleTree.Root(hashes));
    }

    [Fact]
    public void A_tree_of_chunks_is_the_tree_of_their_leaves() =>
        Prop.ForAll(
            (from size in Gen.Choose(1, 300)
             from digits in Gen.Choose(0, 5)
             from index in Gen.Choose(0, size - 1)
             select (size, chunk: 1 << digits, index)).ToArbitrary(),
            it =>
            {
                var hashes = Numbered(it.size);
                byte[][] chunks = [.. hashes.Chunk(it.chunk).Select(chunk => MerkleTree.Root(chunk))];
                var own = hashes.Chunk(it.chunk).ElementAt(it.index / it.chunk);

                MerkleTree.Root(chunks).ShouldBe(MerkleTree.Root(hashes));
                MerkleTree.PathOf(it.index % it.chunk, own).Concat(MerkleTree.PathOf(it.index / it.chunk, chunks))
                    .ShouldBe(MerkleTree.PathOf(it.index, hashes));
            }).QuickCheckThrowOnFailure();

    private static byte[][] Hashes(int size) =>
        [.. leaves.Take(size).Select(leaf => MerkleTree.HashOfLeaf(Convert.FromHexString(leaf)))];

    private static byte[][] Numbered(int size) =>
        [.. Enumerable.Range(0, size).Select(number => MerkleTree.HashOfLeaf(BitConverter.GetBytes(number)))];

    private static string Hex(byte[] hash) => Convert.ToHexStringLower(hash);
}
