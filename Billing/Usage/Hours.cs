using NodaTime;

namespace Platform.Billing.Usage;

/// <summary>Whole hours (UTC), by which usage is summed.</summary>
internal static class Hours
{
    public const string Rule = "A whole hour is needed, because usage is summed by the hour.";

    /// <summary>The start of the hour that contains an instant.</summary>
    public static Instant Of(Instant at) => Instant.FromUnixTimeSeconds((long)Math.Floor(at.ToUnixTimeSeconds() / 3600m) * 3600);
}
