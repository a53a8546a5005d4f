using System.Text.RegularExpressions;

namespace Platform.Billing.Taxes;

/// <summary>Who levies a tax, by its code of ISO 3166-1 or 3166-2.</summary>
internal static partial class Jurisdictions
{
    public const string Rule = "A country of ISO 3166 or one of its parts, for example DE or US-CA.";

    public static bool IsValid(string code) => Shape().IsMatch(code);

    [GeneratedRegex("^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
    private static partial Regex Shape();
}
