using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;

namespace Platform.Contracts.Tests;

public class MoneySpecs
{
    [Theory]
    [InlineData("0.005", "USD", 1)]
    [InlineData("-0.005", "USD", -1)]
    [InlineData("0.0049999999999999", "USD", 0)]
    [InlineData("2.675", "EUR", 268)]
    [InlineData("0.5", "JPY", 1)]
    [InlineData("-1.5", "JPY", -2)]
    [InlineData("1.0005", "KWD", 1001)]
    [InlineData("92233720368547758.07", "USD", long.MaxValue)]
    public void An_exact_amount_is_rounded_half_away_from_zero(string exact, string currency, long minorUnits) =>
        Money.Round(Exact(exact), Currency.Parse(currency)).ShouldBe(new(minorUnits, Currency.Parse(currency)));

    [Fact]
    public void An_amount_beyond_64_bits_of_minor_units_is_refused() =>
        Should.Throw<OverflowException>(() => Money.Round(92233720368547758.08m, Currency.USD));

    [Fact]
    public void A_sum_beyond_64_bits_is_refused() =>
        Should.Throw<OverflowException>(() => new Money(long.MaxValue, Currency.USD) + new Money(1, Currency.USD));

    [Fact]
    public void Currencies_do_not_mix()
    {
        Should.Throw<InvalidOperationException>(() => new Money(1, Currency.USD) + new Money(1, Currency.EUR));
        Should.Throw<InvalidOperationException>(() => new Money(1, Currency.USD) < new Money(1, Currency.EUR));
    }

    [Theory]
    [InlineData("USD", 1250, """{"amount":"12.50","currency":"USD"}""")]
    [InlineData("JPY", -7, """{"amount":"-7","currency":"JPY"}""")]
    [InlineData("KWD", 5, """{"amount":"0.005","currency":"KWD"}""")]
    public void Money_has_exactly_its_currencys_decimals_as_JSON(string currency, long minorUnits, string json)
    {
        var money = new Money(minorUnits, Currency.Parse(currency));

        JsonSerializer.Serialize(money, ContractsJson.Options).ShouldBe(json);
        JsonSerializer.Deserialize<Money>(json, ContractsJson.Options).ShouldBe(money);
    }

    [Theory]
    [InlineData("""{"amount":"12.505","currency":"USD"}""")]
    [InlineData("""{"amount":12.5,"currency":"USD"}""")]
    [InlineData("""{"amount":"1e3","currency":"USD"}""")]
    [InlineData("""{"amount":"12.50","currency":"usd"}""")]
    [InlineData("""{"amount":"12.50"}""")]
    [InlineData("""{"amount":"12.50","currency":"USD","scale":"2"}""")]
    [InlineData("""["12.50","USD"]""")]
    public void Anything_else_is_not_money(string json) =>
        Should.Throw<JsonException>(() => JsonSerializer.Deserialize<Money>(json, ContractsJson.Options));

    [Fact]
    public void A_split_sums_to_the_whole_and_its_parts_differ_by_at_most_one_minor_unit() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<int, PositiveInt>((minorUnits, parts) =>
        {
            var whole = new Money(minorUnits, Currency.EUR);
            var split = whole.SplitInto(parts.Get);

            return split.Aggregate(Money.Zero(Currency.EUR), (sum, part) => sum + part) == whole
                && split.Max(part => part.MinorUnits) - split.Min(part => part.MinorUnits) <= 1;
        }));

    [Theory]
    [InlineData("USD", 1, "0.0033 0.0033 0.0033", "1 0 0")]
    [InlineData("USD", 100, "0.1 0.2 0.7", "10 20 70")]
    [InlineData("USD", 100, "0.33 0.333 0.337", "33 33 34")]
    [InlineData("USD", -100, "-0.3333333333 -0.3333333333 -0.3333333334", "-33 -33 -34")]
    [InlineData("JPY", 10, "3.4 3.3 3.3", "4 3 3")]
    [InlineData("KWD", 10, "0.0025 0.0075", "3 7")]
    [InlineData("USD", 19, "0.5 -0.31", "50 -31")]
    [InlineData("USD", 0, "", "")]
    public void A_split_by_shares_gives_what_is_left_to_the_largest_remainders(string currency, long whole, string shares, string parts) =>
        string.Join(' ', new Money(whole, Currency.Parse(currency))
            .SplitBy([.. shares.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Exact)])
            .Select(part => part.MinorUnits)).ShouldBe(parts);

    [Fact]
    public void A_split_by_weights_sums_to_the_whole_and_each_part_is_within_a_minor_unit_of_its_share() => Check.One(
        Config.QuickThrowOnFailure,
        Prop.ForAll<NonNegativeInt, NonEmptyArray<PositiveInt>>((minorUnits, weights) =>
        {
            var whole = new Money(minorUnits.Get, Currency.EUR);
            var sum = weights.Get.Sum(weight => (decimal)weight.Get);
            decimal[] shares = [.. weights.Get.Select(weight => whole.Amount * weight.Get / sum)];
            var split = whole.SplitBy(shares);

            return split.Aggregate(Money.Zero(Currency.EUR), (total, part) => total + part) == whole
                && split.Zip(shares).All(it => Math.Abs(it.First.Amount - it.Second) < 0.01m);
        }));

    [Fact]
    public void Shares_of_something_else_are_no_split() =>
        Should.Throw<ArgumentException>(() => new Money(100, Currency.EUR).SplitBy([0.5m, 0.2m]));

    private static decimal Exact(string text) => Decimals.TryParse(text, out var value) ? value : throw new FormatException(text);
}
