using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NodaTime;
using NodaTime.Text;

namespace Platform.Contracts.Verification;

/// <summary>What was said about a usage event after it was reported, as far as one invoice counts it.</summary>
/// <param name="Actor">The API key that corrected.</param>
/// <param name="Before">The data that counted until then.</param>
/// <param name="After">The data that count since; null for a void.</param>
public sealed record CountedCorrection(
    Guid CorrectionId, string Reason, string Actor, Instant At, IReadOnlyDictionary<string, string> Before,
    IReadOnlyDictionary<string, string>? After);

/// <summary>
/// How usage is written for hashing: part after part, each as its length in UTF-16 code units, a colon and its text, all in UTF-8. So no
/// two different contents read the same. Members of data stand in ordinal order of their names, each as its name and its value;
/// a value that is a plain decimal is written without trailing zeros.
/// </summary>
public static class UsageLeaf
{
    // The ledger keeps microseconds; what is finer was cut off when the event was taken.
    private static readonly InstantPattern microseconds =
        InstantPattern.CreateWithInvariantCulture("uuuu'-'MM'-'dd'T'HH':'mm':'ss;FFFFFF'Z'");

    /// <summary>
    /// SHA-256 over all content of an event but its identity: type, subject (a plus sign and its text, nothing where there is none),
    /// time in ISO 8601 in UTC, data.
    /// </summary>
    public static byte[] ContentHash(string type, string? subject, Instant time, IReadOnlyDictionary<string, string> data) =>
        SHA256.HashData(Encoding.UTF8.GetBytes(new StringBuilder()
            .Part(type)
            .Part(subject is null ? "" : $"+{subject}")
            .Part(microseconds.Format(time))
            .Members(data)
            .ToString()));

    /// <summary>
    /// The text of one leaf: <c>usage-leaf.v1</c>, source, id, content hash in lower-case hexadecimal, <c>event</c> where the invoice
    /// counts the event or <c>corrections</c> where an earlier one did; then for each correction its id, reason, actor and time, the
    /// number of members before and these, and the number of members after and these, or an empty part for a void.
    /// </summary>
    /// <param name="billedBefore">The event itself is on an earlier invoice; this one counts only the corrections.</param>
    public static string CanonicalText(
        string source, string id, byte[] contentHash, bool billedBefore, IReadOnlyList<CountedCorrection> corrections)
    {
        var text = new StringBuilder()
            .Part("usage-leaf.v1").Part(source).Part(id).Part(Convert.ToHexStringLower(contentHash))
            .Part(billedBefore ? "corrections" : "event");
        foreach (var correction in corrections)
        {
            text.Part(correction.CorrectionId.ToString()).Part(correction.Reason).Part(correction.Actor)
                .Part(microseconds.Format(correction.At)).CountedMembers(correction.Before);
            if (correction.After is { } after)
                text.CountedMembers(after);
            else
                text.Part("");
        }

        return text.ToString();
    }

    public static byte[] Hash(
        string source, string id, byte[] contentHash, bool billedBefore, IReadOnlyList<CountedCorrection> corrections) =>
        MerkleTree.HashOfLeaf(Encoding.UTF8.GetBytes(CanonicalText(source, id, contentHash, billedBefore, corrections)));

    extension(StringBuilder text)
    {
        private StringBuilder Part(string part) => text.Append(CultureInfo.InvariantCulture, $"{part.Length}:").Append(part);

        private StringBuilder CountedMembers(IReadOnlyDictionary<string, string> data) =>
            text.Part(data.Count.ToString(CultureInfo.InvariantCulture)).Members(data);

        private StringBuilder Members(IReadOnlyDictionary<string, string> data)
        {
            foreach (var (name, value) in data.OrderBy(member => member.Key, StringComparer.Ordinal))
                text.Part(name).Part(!IsCanonical(value) && Decimals.TryParse(value, out var number) ? Decimals.Format(Decimals.Canonical(number)) : value);
            return text;
        }
    }

    // Most quantities are whole numbers, and most other members begin with a letter: neither needs to be read as a decimal.
    private static bool IsCanonical(string value) =>
        value.Length > 0 && (char.IsAsciiLetter(value[0]) || (value[0] is >= '1' and <= '9' && value.All(char.IsAsciiDigit)));
}
