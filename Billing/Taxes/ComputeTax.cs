using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Taxes;

/// <summary>A line of an invoice as the tax sees it.</summary>
/// <param name="Key">Names the line apart from its place: an odd cent falls on the same line in whatever order they stand.</param>
/// <param name="Amount">Rounded, less its discounts; negative where it takes back.</param>
/// <param name="SuppliedOn">The last day of what the line is for, in the tenant's zone: its rate is the one of that day.</param>
public sealed record TaxableLine(string Key, string Category, Money Amount, LocalDate SuppliedOn);

/// <summary>What is owed by one rate.</summary>
/// <param name="Rate">A fraction: 0.19 is 19 %.</param>
/// <param name="Inclusive">The lines contain the tax; else it is added to them.</param>
/// <param name="Reason">Why nothing is owed; null where a rate says what is.</param>
/// <param name="CustomerTaxId">The tenant's own, as its profile says.</param>
/// <param name="TaxableAmount">Sum of the lines, without the tax that they contain.</param>
/// <param name="RateIds">The rates that gave it; several where they are equal, none where nothing is owed for a reason.</param>
/// <param name="Lines">Places of the lines, from 0.</param>
/// <param name="Parts">Of the amount, one per line of <paramref name="Lines"/>; they sum to it.</param>
public sealed record Tax(
    string Jurisdiction, decimal Rate, bool Inclusive, TaxTreatment Treatment, string? Reason, string? CustomerTaxId,
    IReadOnlyList<TaxRateId> RateIds, Money TaxableAmount, Money Amount, IReadOnlyList<int> Lines, IReadOnlyList<Money> Parts);

/// <summary>
/// Lines and rates to tax: per rate, on the sum of its rounded and discounted lines, rounded once, half away from zero. Pure. Tax
/// that prices contain is <c>sum * rate / (1 + rate)</c>, and the taxable amount what is left of the sum.
/// </summary>
public static class ComputeTax
{
    /// <param name="profile">Null for a tenant that is not taxed.</param>
    /// <param name="rates">Those of the profile's jurisdiction.</param>
    /// <returns>The highest rate first.</returns>
    public static IReadOnlyList<Tax> Of(
        IReadOnlyList<TaxableLine> lines, TaxProfileTerms? profile, IReadOnlyCollection<TaxRateView> rates) => profile is null
        ? []
        :
        [
            .. lines.Index()
                .OrderBy(line => line.Item.Key, StringComparer.Ordinal)
                .Select(line => new RatedLine(
                    line.Index, line.Item, profile.Treatment is TaxTreatment.Taxable ? InForce(line.Item, rates) : null))
                .GroupBy(line => Basis.Of(line.Rate, profile))
                .OrderByDescending(group => group.Key.Rate).ThenBy(group => group.Key.Inclusive)
                .Select(group => On([.. group], group.Key, profile)),
        ];

    private static Tax On(RatedLine[] lines, Basis basis, TaxProfileTerms profile)
    {
        var sum = lines.Aggregate(Money.Zero(lines[0].Line.Amount.Currency), (total, it) => total + it.Line.Amount);
        var amount = Money.Round(basis.TaxOn(sum), sum.Currency);
        return new(
            profile.Jurisdiction, basis.Rate, basis.Inclusive, profile.Treatment, basis.Reason, profile.TaxId,
            [.. lines.Select(it => it.Rate?.TaxRateId).OfType<TaxRateId>().Distinct()], basis.Inclusive ? sum - amount : sum, amount,
            [.. lines.Select(it => it.Index)], amount.SplitBy([.. lines.Select(it => basis.TaxOn(it.Line.Amount))]));
    }

    private static TaxRateView? InForce(TaxableLine line, IReadOnlyCollection<TaxRateView> rates)
    {
        return Newest(line.Category) ?? Newest(TaxCategory.Standard);

        TaxRateView? Newest(string category) => rates
            .Where(rate => rate.Category == category && rate.IsInForce(line.SuppliedOn))
            .MaxBy(rate => rate.ValidFrom);
    }

    /// <param name="Rate">Null where none applies.</param>
    private sealed record RatedLine(int Index, TaxableLine Line, TaxRateView? Rate);

    /// <summary>What lines are taxed by together.</summary>
    private sealed record Basis(decimal Rate, bool Inclusive, string? Reason)
    {
        public static Basis Of(TaxRateView? rate, TaxProfileTerms profile) => (profile.Treatment, rate) switch
        {
            (TaxTreatment.Exempt, _) => Untaxed(profile.Reason ?? "Exempt from tax"),
            (TaxTreatment.ReverseCharge, _) => Untaxed(profile.Reason ?? "Reverse charge: the recipient owes the tax"),
            (_, null) => Untaxed($"No tax rate of {profile.Jurisdiction} was in force"),
            _ => new(Decimals.Canonical(rate.Rate), rate.Inclusive, Reason: null),
        };

        /// <summary>Exact, in major units.</summary>
        public decimal TaxOn(Money amount) => Inclusive ? amount.Amount * Rate / (1 + Rate) : amount.Amount * Rate;

        private static Basis Untaxed(string reason) => new(Rate: 0, Inclusive: false, reason);
    }
}
