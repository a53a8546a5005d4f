using System.Security.Cryptography;
using Platform.Contracts.Verification;

namespace Platform.Contracts.Tests.Verification;

/// <summary>Either way to a hash is the one that everybody else gets.</summary>
public sealed class Sha256Specs
{
    [Fact]
    public void Texts_of_all_lengths_hash_as_they_do_elsewhere()
    {
        Span<byte> byOpenSsl = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> byDotNet = stackalloc byte[SHA256.HashSizeInBytes];
        for (var length = 0; length <= 300; length++)
        {
            var text = RandomNumberGenerator.GetBytes(length);
            Sha256.HashByOpenSsl(text, byOpenSsl);
            Sha256.HashByDotNet(text, byDotNet);

            var elsewhere = SHA256.HashData(text);
            byOpenSsl.ToArray().ShouldBe(elsewhere);
            byDotNet.ToArray().ShouldBe(elsewhere);
            Sha256.Hash(text).ShouldBe(elsewhere);
        }
    }
}
