using NodaTime;

namespace Platform.Billing.Revenue;

/// <summary>Whole hours (UTC): usage is summed by them, so costs are exact between them.</summary>
internal static class Hours
{
    public const string Rule = "A whole hour is needed, because usage is summed by the hour.";

    public static Instant Of(Instant at) => Instant.FromUnixTimeSeconds((long)Math.Floor(at.ToUnixTimeSeconds() / 3600m) * 3600);
}
