using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NodaTime;
using NodaTime.Text;
using Platform.Contracts.Messages;

namespace Platform.Contracts;

/// <summary>
/// Makes a worker's usage verifiable. Each batch names the hash of the batch before it and is signed by the worker, so a
/// tenant who holds the worker's public key sees a batch that was changed, dropped from the middle, reordered or
/// made up by anybody else.
/// </summary>
public static class UsageChain
{
    public static readonly string Start = new('0', 64);

    /// <summary>
    /// The text whose SHA-256 is the batch's hash: a version line, then one <c>name=value</c> line per field in this order,
    /// each ended by a line feed. Decimals have no trailing zeros, instants are ISO 8601 in UTC.
    /// </summary>
    public static string CanonicalText(UsageReported batch) => new StringBuilder()
        .Append("usage-batch.v1\n")
        .Line("job_id", batch.JobId.Value)
        .Line("attempt_id", batch.AttemptId.Value)
        .Line("tenant_id", batch.TenantId.Value)
        .Line("worker_id", batch.WorkerId.Value)
        .Line("sequence", batch.Sequence)
        .Line("from", InstantPattern.ExtendedIso.Format(batch.From))
        .Line("to", InstantPattern.ExtendedIso.Format(batch.To))
        .Line("flavor", batch.Use.Flavor)
        .Line("gpu_milliseconds", Decimals.Canonical(batch.Use.GpuMilliseconds))
        .Line("samples", batch.Use.Samples)
        .Line("inference_calls", batch.Use.InferenceCalls)
        .Line("energy_joules", Decimals.Canonical(batch.Use.EnergyJoules))
        .Line("energy_source", batch.Use.EnergySource)
        .Line("bytes_read", batch.Use.BytesRead)
        .Line("peak_memory_bytes", batch.Use.PeakMemoryBytes)
        .Line("previous_hash", batch.PreviousHash)
        .ToString();

    public static string HashOf(UsageReported batch) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(CanonicalText(batch))));

    /// <summary>Fills in hash and signature. The other fields are what is signed.</summary>
    public static UsageReported Sign(UsageReported batch, ECDsa workerKey)
    {
        var hash = HashOf(batch);
        return batch with
        {
            Hash = hash,
            Signature = Convert.ToBase64String(workerKey.SignHash(Convert.FromHexString(hash))),
        };
    }

    /// <param name="publicKey">Subject public key info, base64, as in <see cref="WorkerRegistered"/>.</param>
    public static bool IsSignedBy(UsageReported batch, string publicKey)
    {
        using var key = ECDsa.Create();
        try
        {
            key.ImportSubjectPublicKeyInfo(Convert.FromBase64String(publicKey), out _);
            return HashOf(batch) == batch.Hash
                && key.VerifyHash(Convert.FromHexString(batch.Hash), Convert.FromBase64String(batch.Signature));
        }
        catch (Exception error) when (error is FormatException or CryptographicException)
        {
            return false;
        }
    }

    /// <summary>
    /// Checks all batches of one attempt, in any order: the first fault found, or null where sequence numbers run from 1
    /// without a gap, every batch names the hash of the one before, and each is signed by the worker. A missing end cannot
    /// be seen from the chain alone.
    /// </summary>
    public static ChainFault? Verify(IEnumerable<UsageReported> batches, string publicKey)
    {
        var previous = Start;
        var expected = 1L;
        foreach (var batch in batches.OrderBy(batch => batch.Sequence))
        {
            if (batch.Sequence != expected)
                return new(expected, batch.Sequence < expected ? "sequence_repeated" : "batch_missing");
            if (batch.PreviousHash != previous)
                return new(expected, "link_broken");
            if (!IsSignedBy(batch, publicKey))
                return new(expected, "signature_invalid");

            previous = batch.Hash;
            expected++;
        }

        return null;
    }

    // A line feed inside a value would let two different batches have one text.
    private static StringBuilder Line<T>(this StringBuilder text, string name, T value) =>
        value is string line && line.Contains('\n', StringComparison.Ordinal)
            ? throw new FormatException($"{name} holds a line feed.")
            : text.Append(CultureInfo.InvariantCulture, $"{name}={value}\n");
}

/// <param name="Sequence">The first batch that is wrong or missing.</param>
/// <param name="Code"><c>batch_missing</c>, <c>sequence_repeated</c>, <c>link_broken</c> or <c>signature_invalid</c>.</param>
public sealed record ChainFault(long Sequence, string Code);
