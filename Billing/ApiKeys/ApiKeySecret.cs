using System.Security.Cryptography;
using System.Text;
using Platform.Contracts;

namespace Platform.Billing.ApiKeys;

/// <summary>
/// Makes API keys that need not be stored to be answered again. A key is the HMAC of a random salt under the key of whoever
/// asked for it: the database (salt) and the caller (own key) each hold half, so a repeated request gets the same answer,
/// while neither a copy of the database nor the caller's key alone gives the new key.
/// </summary>
public static class ApiKeySecret
{
    /// <summary>32 random bytes, hexadecimal.</summary>
    public static string NewSalt() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <summary><c>pk_</c> and 64 hexadecimal digits.</summary>
    /// <param name="issuerKey">The key that the caller presented, whole.</param>
    public static string Derive(string issuerKey, string salt, ApiKeyId id) =>
        "pk_" + Convert.ToHexStringLower(
            HMACSHA256.HashData(Encoding.UTF8.GetBytes(issuerKey), Encoding.UTF8.GetBytes($"api-key.v1\n{id}\n{salt}")));

    /// <summary>What is stored of a key: SHA-256 of all of it, lower-case hexadecimal.</summary>
    public static string HashOf(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
