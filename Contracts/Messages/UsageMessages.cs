using NodaTime;

namespace Platform.Contracts.Messages;

/// <summary>
/// One signed batch of metered use of one attempt. <see cref="UsageChain"/> says what is hashed and signed and how a
/// tenant verifies it.
/// </summary>
/// <param name="Sequence">1 for the first batch of the attempt, then without a gap.</param>
/// <param name="PreviousHash">Hash of batch <c>Sequence - 1</c>; 64 zeros for the first. Lower-case hexadecimal SHA-256.</param>
/// <param name="Hash">SHA-256 of the batch's canonical text.</param>
/// <param name="Signature">ECDSA P-256 over the hash, IEEE P1363 format, base64.</param>
public sealed record UsageReported(
    JobId JobId, AttemptId AttemptId, TenantId TenantId, WorkerId WorkerId, long Sequence,
    Instant From, Instant To, MeteredUse Use, string PreviousHash, string Hash, string Signature);

/// <summary>What one attempt used in one interval, measured on the worker. All quantities are at least zero.</summary>
/// <param name="Flavor">The device's flavor: <c>cpu</c>, <c>nvidia-h200</c>.</param>
/// <param name="GpuMilliseconds">Time that the device worked for the attempt, times its share of the device.</param>
/// <param name="Samples">Samples trained on or classified.</param>
/// <param name="InferenceCalls">Forward calls that returned predictions to the tenant.</param>
/// <param name="EnergyJoules">Measured (NVML, RAPL) or by the model that <paramref name="EnergySource"/> names.</param>
/// <param name="EnergySource"><c>nvml</c>, <c>rapl</c> or <c>model:watts=N</c>.</param>
/// <param name="BytesRead">Bytes of data sets and artifacts read.</param>
/// <param name="PeakMemoryBytes">Largest memory of the attempt so far.</param>
public sealed record MeteredUse(
    string Flavor, decimal GpuMilliseconds, long Samples, long InferenceCalls, decimal EnergyJoules, string EnergySource,
    long BytesRead, long PeakMemoryBytes);
