using System.Text;
using NodaTime;

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
    /// <summary>
    /// SHA-256 over all content of an event but its identity: type, subject (a plus sign and its text, nothing where there is none),
    /// time in ISO 8601 in UTC, data.
    /// </summary>
    public static byte[] ContentHash(string type, string? subject, Instant time, IReadOnlyDictionary<string, string> data)
    {
        using var text = new UsageText();
        text.Part(type);
        if (subject is null)
            text.Part("");
        else
            text.Part("+", subject);
        text.Part(time);
        text.Members(data);
        return Sha256.Hash(text.Written);
    }

    /// <summary>
    /// The text of one leaf: <c>usage-leaf.v1</c>, source, id, content hash in lower-case hexadecimal, <c>event</c> where the invoice
    /// counts the event or <c>corrections</c> where an earlier one did; then for each correction its id, reason, actor and time, the
    /// number of members before and these, and the number of members after and these, or an empty part for a void.
    /// </summary>
    /// <param name="billedBefore">The event itself is on an earlier invoice; this one counts only the corrections.</param>
    public static string CanonicalText(
        string source, string id, byte[] contentHash, bool billedBefore, IReadOnlyList<CountedCorrection> corrections)
    {
        using var text = new UsageText();
        Write(text, source, id, contentHash, billedBefore, corrections);
        return Encoding.UTF8.GetString(text.Written);
    }

    public static byte[] Hash(
        string source, string id, byte[] contentHash, bool billedBefore, IReadOnlyList<CountedCorrection> corrections)
    {
        using var text = new UsageText();
        Write(text, source, id, contentHash, billedBefore, corrections);
        return MerkleTree.HashOfLeaf(text.Written);
    }

    private static void Write(
        UsageText text, string source, string id, byte[] contentHash, bool billedBefore, IReadOnlyList<CountedCorrection> corrections)
    {
        text.Part("usage-leaf.v1");
        text.Part(source);
        text.Part(id);
        text.Part(Convert.ToHexStringLower(contentHash));
        text.Part(billedBefore ? "corrections" : "event");
        foreach (var correction in corrections)
        {
            text.Part(correction.CorrectionId.ToString());
            text.Part(correction.Reason);
            text.Part(correction.Actor);
            text.Part(correction.At);
            text.CountedMembers(correction.Before);
            if (correction.After is { } after)
                text.CountedMembers(after);
            else
                text.Part("");
        }
    }
}
