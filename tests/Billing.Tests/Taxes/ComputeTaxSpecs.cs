using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using NodaTime;
using Platform.Billing.Taxes;
using Platform.Contracts;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Taxes;

public class ComputeTaxSpecs
{
    private static readonly LocalDate Today = new(2026, 1, 31);

    private static readonly TaxRateView[] rates =
    [
        Rate("standard", 0.19m, from: new(2007, 1, 1)),
        Rate("standard", 0.16m, from: new(2020, 7, 1)) with { ValidUntil = new(2021, 1, 1) },
        Rate("standard", 0.19m, from: new(2021, 1, 1)),
        Rate("reduced", 0.07m, from: new(2007, 1, 1)),
        Rate("zero", 0m, from: new(2007, 1, 1)),
        Rate("retail", 0.19m, from: new(2007, 1, 1)) with { Inclusive = true },
    ];

    [Theory]
    // lines as amount in minor units and category -> per rate: rate, taxable, tax, parts by line
    [InlineData("EUR", "10000 standard", "0.19 10000 1900: 1900")]
    [InlineData("EUR", "10000 standard, 10000 reduced", "0.19 10000 1900: 1900 | 0.07 10000 700: 700")]
    [InlineData("EUR", "10000 zero", "0 10000 0: 0")]
    [InlineData("EUR", "10000 unheard-of", "0.19 10000 1900: 1900")]
    // 0.19 x 0.13 is 0.0247 on each line, 0.0741 on their sum
    [InlineData("EUR", "13 standard, 13 standard, 13 standard", "0.19 39 7: 3 2 2")]
    // 0.095 is rounded away from zero, also below it
    [InlineData("EUR", "50 standard", "0.19 50 10: 10")]
    [InlineData("EUR", "-50 standard", "0.19 -50 -10: -10")]
    [InlineData("EUR", "10000 standard, -4000 standard", "0.19 6000 1140: 1900 -760")]
    [InlineData("EUR", "3 standard, 10003 standard, -10003 standard", "0.19 3 1: 1 1901 -1901")]
    [InlineData("EUR", "0 standard", "0.19 0 0: 0")]
    [InlineData("EUR", "", "")]
    // prices that contain the tax
    [InlineData("EUR", "11900 retail", "0.19 10000 1900 inclusive: 1900")]
    [InlineData("EUR", "9999 retail", "0.19 8403 1596 inclusive: 1596")]
    [InlineData("EUR", "5950 retail, 5950 retail", "0.19 10000 1900 inclusive: 950 950")]
    [InlineData("EUR", "100 retail, 100 retail, 100 retail", "0.19 252 48 inclusive: 16 16 16")]
    [InlineData("EUR", "10000 standard, 11900 retail", "0.19 10000 1900: 1900 | 0.19 10000 1900 inclusive: 1900")]
    // currencies without and with three decimals
    [InlineData("JPY", "105 standard", "0.19 105 20: 20")]
    [InlineData("JPY", "119 retail", "0.19 100 19 inclusive: 19")]
    [InlineData("KWD", "1005 standard", "0.19 1005 191: 191")]
    public void Tax_is_owed_per_rate_on_the_sum_of_its_lines(string currency, string lines, string expected) =>
        Text(ComputeTax.Of(Lines(currency, lines), Taxable, rates)).ShouldBe(expected);

    [Theory]
    [InlineData("2020-06-30", "0.19")]
    [InlineData("2020-07-01", "0.16")]
    [InlineData("2020-12-31", "0.16")]
    [InlineData("2021-01-01", "0.19")]
    public void A_line_takes_the_rate_of_the_day_on_which_it_was_supplied(string day, string rate) =>
        ComputeTax.Of([Line(100_00, on: NodaTime.Text.LocalDatePattern.Iso.Parse(day).Value)], Taxable, rates)
            .Single().Rate.ShouldBe(decimal.Parse(rate, CultureInfo.InvariantCulture));

    [Fact]
    public void A_day_before_any_rate_is_not_taxed_and_says_so()
    {
        var tax = ComputeTax.Of([Line(100_00, on: new(1999, 1, 1))], Taxable, rates).Single();

        (tax.Amount, tax.Reason).ShouldBe((Euro(0), "No tax rate of DE was in force"));
    }

    [Theory]
    [InlineData(TaxTreatment.Exempt, null, "Exempt from tax")]
    [InlineData(TaxTreatment.Exempt, "Article 143 of Directive 2006/112/EC", "Article 143 of Directive 2006/112/EC")]
    [InlineData(TaxTreatment.ReverseCharge, null, "Reverse charge: the recipient owes the tax")]
    public void Who_owes_no_tax_has_one_line_of_it_at_zero_with_the_reason(TaxTreatment treatment, string? reason, string said)
    {
        var tax = ComputeTax.Of(
            Lines("EUR", "10000 standard, 5000 reduced, 11900 retail"), new("DE", "DE123", treatment, reason), rates).Single();

        (tax.Rate, tax.TaxableAmount, tax.Amount, tax.Treatment, tax.Reason).ShouldBe((0, Euro(269_00), Euro(0), treatment, said));
    }

    [Fact]
    public void A_tenant_without_a_profile_is_not_taxed() =>
        ComputeTax.Of(Lines("EUR", "10000 standard"), profile: null, rates).ShouldBeEmpty();

    [Fact]
    public void Parts_sum_to_the_tax_and_each_is_within_a_cent_of_its_lines_rate() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(AnyLines, lines => ComputeTax.Of(lines, Taxable, rates).All(tax =>
            tax.Parts.Sum(part => part.MinorUnits) == tax.Amount.MinorUnits
            && tax.Lines.Sum(line => lines[line].Amount.MinorUnits)
                == tax.TaxableAmount.MinorUnits + (tax.Inclusive ? tax.Amount.MinorUnits : 0)
            && tax.Lines.Zip(tax.Parts).All(it => Math.Abs(
                it.Second.Amount - lines[it.First].Amount.Amount * tax.Rate / (tax.Inclusive ? 1 + tax.Rate : 1)) < 0.01m))));

    [Fact]
    public void The_order_of_lines_never_matters() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll(AnyLines, lines =>
        {
            TaxableLine[] shuffled = [.. lines.OrderByDescending(line => line.Amount.MinorUnits % 7)];

            return ByKey(lines).SequenceEqual(ByKey(shuffled));

            static IEnumerable<(string, decimal, long)> ByKey(TaxableLine[] lines) => ComputeTax.Of(lines, Taxable, rates)
                .SelectMany(tax => tax.Lines.Zip(tax.Parts).Select(it => (lines[it.First].Key, tax.Rate, it.Second.MinorUnits)));
        }));

    private static TaxProfileTerms Taxable => new("DE", TaxId: null, TaxTreatment.Taxable, Reason: null);

    private static Arbitrary<TaxableLine[]> AnyLines => Arb.From(
        from amounts in Gen.ListOf(Gen.Choose(-500, 5_000))
        from categories in Gen.ListOf(Gen.Elements("standard", "reduced", "retail"), amounts.Count)
        select amounts.Zip(categories).Index()
            .Select(it => new TaxableLine($"line {it.Index:000}", it.Item.Second, Euro(it.Item.First), Today)).ToArray());

    private static string Text(IReadOnlyList<Tax> taxes) => string.Join(" | ", taxes.Select(tax => string.Create(
        CultureInfo.InvariantCulture,
        $"{tax.Rate} {tax.TaxableAmount.MinorUnits} {tax.Amount.MinorUnits}{(tax.Inclusive ? " inclusive" : "")}: ")
        + string.Join(' ', tax.Lines.Zip(tax.Parts).OrderBy(it => it.First).Select(it => it.Second.MinorUnits))));

    private static TaxableLine[] Lines(string currency, string lines) =>
    [
        .. lines.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')).Index().Select(it => new TaxableLine(
            $"line {it.Index}", it.Item[1], new(long.Parse(it.Item[0], CultureInfo.InvariantCulture), Currency.Parse(currency)), Today)),
    ];

    private static TaxableLine Line(long cents, LocalDate on) => new("line", TaxCategory.Standard, Euro(cents), on);

    private static TaxRateView Rate(string category, decimal rate, LocalDate from) =>
        new(TheTaxRate, "DE", category, rate, Inclusive: false, from, ValidUntil: null, Noon, ArchivedAt: null);

    private static Money Euro(long cents) => new(cents, Currency.EUR);
}
