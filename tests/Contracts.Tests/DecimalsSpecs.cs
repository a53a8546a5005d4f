using System.Text.Json;

namespace Platform.Contracts.Tests;

public class DecimalsSpecs
{
    [Theory]
    [InlineData("0", "0")]
    [InlineData("12.50", "12.50")]
    [InlineData("-0.001", "-0.001")]
    [InlineData("9999999999999999999999999999", "9999999999999999999999999999")]
    [InlineData("0.000000000000000000000000001", "0.000000000000000000000000001")]
    [InlineData("0.3333333333333333333333333333", "0.3333333333333333333333333333")]
    public void A_plain_decimal_reads_and_writes_the_same(string text, string written)
    {
        Decimals.TryParse(text, out var value).ShouldBeTrue();
        Decimals.Format(value).ShouldBe(written);
    }

    [Theory]
    [InlineData("")]
    [InlineData(null)]
    [InlineData("+1")]
    [InlineData("1e3")]
    [InlineData("1,000")]
    [InlineData(" 1")]
    [InlineData("1.2.3")]
    [InlineData("NaN")]
    [InlineData("Infinity")]
    [InlineData("٣")]
    [InlineData("0x10")]
    [InlineData("12345678901234567890123456789")]
    [InlineData("0.00000000000000000000000000001")]
    public void Anything_else_is_no_decimal(string? text) => Decimals.TryParse(text, out _).ShouldBeFalse();

    [Theory]
    [InlineData("1.500", "1.5")]
    [InlineData("100", "100")]
    [InlineData("0.000", "0")]
    public void Equal_numbers_have_one_canonical_text(string text, string canonical)
    {
        Decimals.TryParse(text, out var value).ShouldBeTrue();
        Decimals.Format(Decimals.Canonical(value)).ShouldBe(canonical);
    }

    [Fact]
    public void Nothing_is_written_that_could_not_be_read_again()
    {
        JsonSerializer.Serialize(1m / 3, ContractsJson.Options).ShouldBe("\"0.3333333333333333333333333333\"");
        Should.Throw<JsonException>(() => JsonSerializer.Serialize(31m / 28, ContractsJson.Options));
    }

    [Fact]
    public void A_JSON_number_is_no_decimal() =>
        Should.Throw<JsonException>(() => JsonSerializer.Deserialize<decimal>("12.5", ContractsJson.Options))
            .Message.ShouldContain("12.50");
}
