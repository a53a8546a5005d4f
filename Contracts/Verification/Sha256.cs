using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Platform.Contracts.Verification;

/// <summary>
/// SHA-256 of short texts. .NET asks OpenSSL for a context, three calls and four lists of errors for each hash, which costs a short text some
/// times what hashing it does; here a context on the stack is all. Where that OpenSSL is not, .NET does it.
/// </summary>
public static partial class Sha256
{
    private const string OpenSsl = "libcrypto.so.3";

    // SHA256_CTX of openssl/sha.h.
    private const int ContextBytes = 112;

    private static readonly bool HasOpenSsl =
        NativeLibrary.TryLoad(OpenSsl, out var library) && NativeLibrary.TryGetExport(library, "SHA256_Init", out _);

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
        if (HasOpenSsl)
            HashByOpenSsl(text, destination);
        else
            HashByDotNet(text, destination);
    }

    internal static void HashByOpenSsl(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        Span<byte> context = stackalloc byte[ContextBytes];
        var hash = destination[..SHA256.HashSizeInBytes];
        if (Init(context) != 1 || Update(context, text, (nuint)text.Length) != 1 || Final(hash, context) != 1)
            throw new CryptographicException("OpenSSL made no hash.");
    }

    // A thread keeps one hash and begins it anew.
    internal static void HashByDotNet(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        var hash = ofThread ??= IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(text);
        hash.GetHashAndReset(destination);
    }

    [LibraryImport(OpenSsl, EntryPoint = "SHA256_Init")]
    private static partial int Init(Span<byte> context);

    [LibraryImport(OpenSsl, EntryPoint = "SHA256_Update")]
    private static partial int Update(Span<byte> context, ReadOnlySpan<byte> text, nuint length);

    [LibraryImport(OpenSsl, EntryPoint = "SHA256_Final")]
    private static partial int Final(Span<byte> hash, Span<byte> context);
}
