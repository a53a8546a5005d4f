using Platform.ServiceDefaults;

namespace Platform.Billing;

/// <summary>Why somebody corrected something: said by people for people, and kept in the books.</summary>
internal static class Reason
{
    public const int LengthMax = 500;

    extension(FieldErrors errors)
    {
        public FieldErrors RequireReason(string reason) => errors.Require(
            !string.IsNullOrWhiteSpace(reason) && reason.Length <= LengthMax && !reason.Contains('\0', StringComparison.Ordinal),
            "reason", $"A reason of 1 to {LengthMax} characters is needed.");
    }
}
