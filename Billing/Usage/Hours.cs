using NodaTime;
using Platform.Contracts.Verification;

namespace Platform.Billing.Usage;

/// <summary>Whole hours (UTC), by which usage is summed.</summary>
internal static class Hours
{
    public const string Rule = "A whole hour is needed, because usage is summed by the hour.";

    public static bool IsWhole(Instant at) => at == UsagePart.HourOf(at);
}
