namespace Platform.Contracts.Tests;

public class CurrencySpecs
{
    [Theory]
    [InlineData("JPY", 0, 1)]
    [InlineData("USD", 2, 100)]
    [InlineData("KWD", 3, 1000)]
    public void A_currency_knows_its_minor_unit(string code, byte exponent, int minorUnitsPerMajor)
    {
        Currency.Parse(code).Exponent.ShouldBe(exponent);
        Currency.Parse(code).MinorUnitsPerMajor.ShouldBe(minorUnitsPerMajor);
    }

    [Theory]
    [InlineData("usd")]
    [InlineData("US")]
    [InlineData("XXX")]
    [InlineData("")]
    [InlineData(null)]
    public void Anything_else_is_no_currency(string? text) => Currency.TryParse(text, out _).ShouldBeFalse();

    [Fact]
    public void There_is_no_default_currency() => Should.Throw<InvalidOperationException>(() => default(Currency).Code);
}
