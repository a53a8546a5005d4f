using System.Security.Cryptography;

namespace Platform.Contracts.Verification;

/// <summary>
/// SHA-256 of short texts, which costs more to begin than to do: each thread keeps one hash and begins it anew, where
/// <see cref="SHA256"/> makes one for each text.
/// </summary>
public static class Sha256
{
    [ThreadStatic]
    private static IncrementalHash? ofThread;

    public static byte[] Hash(ReadOnlySpan<byte> text)
    {
        var hash = new byte[SHA256.HashSizeInBytes];
        Hash(text, hash);
        return hash;
    }

    /// <param name="destination">At least 32 bytes.</param>
    public static void Hash(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        var hash = ofThread ??= IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(text);
        hash.GetHashAndReset(destination);
    }
}
