using Platform.ServiceDefaults;

namespace Platform.Billing;

/// <summary>What people read on invoices, in lists and on paper.</summary>
internal static class DisplayName
{
    public const int LengthMax = 200;

    extension(FieldErrors errors)
    {
        public FieldErrors RequireDisplayName(string name, string field = "display_name") => errors.Require(
            !string.IsNullOrWhiteSpace(name) && name.Length <= LengthMax && !name.Contains('\0', StringComparison.Ordinal), field,
            $"1 to {LengthMax} characters are needed.");
    }
}
