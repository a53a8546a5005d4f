using NodaTime;

namespace Platform.Billing.Taxes;

/// <summary>What a jurisdiction takes for a category of products from a day on.</summary>
/// <param name="Jurisdiction">ISO 3166: a country or one of its parts, for example <c>DE</c> or <c>US-CA</c>.</param>
/// <param name="Category">Of products; <see cref="TaxCategory.Standard"/> serves those that have no rate of their own.</param>
/// <param name="Rate">A fraction from 0 to 1: 0.19 is 19 %.</param>
/// <param name="Inclusive">Prices contain the tax; else it is added to them.</param>
/// <param name="ValidFrom">The first day; the next rate of the jurisdiction and category ends it.</param>
/// <param name="ValidUntil">The day after the last one; null where only another rate ends it.</param>
public sealed record TaxRateTerms(
    string Jurisdiction, string Category, decimal Rate, bool Inclusive, LocalDate ValidFrom, LocalDate? ValidUntil);

/// <summary>
/// The kind of product by which a jurisdiction chooses a rate. Charges, plans and add-ons name it; it is <c>standard</c> where they do not.
/// </summary>
public static class TaxCategory
{
    public const string Standard = "standard";
}
