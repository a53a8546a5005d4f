using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Platform.Contracts;

/// <summary>A currency of ISO 4217 by its three-letter code, with the number of decimals of its minor unit.</summary>
[JsonConverter(typeof(CurrencyConverter))]
public readonly record struct Currency
{
    public static readonly Currency USD = Parse("USD");
    public static readonly Currency EUR = Parse("EUR");
    public static readonly Currency GBP = Parse("GBP");
    public static readonly Currency JPY = Parse("JPY");
    public static readonly Currency KWD = Parse("KWD");

    private readonly string? code;

    private Currency(string code) => this.code = code;

    /// <exception cref="InvalidOperationException">The value was never set: there is no default currency.</exception>
    public string Code => code ?? throw new InvalidOperationException("A currency was never set.");

    /// <summary>Decimals of the minor unit: 0 for JPY, 2 for USD, 3 for KWD.</summary>
    public byte Exponent => Iso4217.Exponents[Code];

    /// <summary>1 for JPY, 100 for USD, 1000 for KWD.</summary>
    public decimal MinorUnitsPerMajor => Exponent switch { 0 => 1m, 2 => 100m, 3 => 1000m, _ => 10_000m };

    public static bool TryParse(string? text, out Currency currency)
    {
        var known = text is not null && Iso4217.Exponents.ContainsKey(text);
        currency = known ? new(text!) : default;
        return known;
    }

    public static Currency Parse(string text) =>
        TryParse(text, out var currency) ? currency : throw new FormatException($"'{text}' is not an ISO 4217 currency code.");

    public override string ToString() => Code;
}

/// <summary>The active national currencies of ISO 4217 and their minor units; funds and metals are left out.</summary>
internal static class Iso4217
{
    private const string Two =
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP " +
        "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR " +
        "JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN " +
        "NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP " +
        "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";

    private const string Zero = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";

    private const string Three = "BHD IQD JOD KWD LYD OMR TND";

    public static readonly FrozenDictionary<string, byte> Exponents = new[] { (Zero, 0), (Two, 2), (Three, 3) }
        .SelectMany(group => group.Item1.Split(' ').Select(code => (Code: code, Exponent: (byte)group.Item2)))
        .ToFrozenDictionary(currency => currency.Code, currency => currency.Exponent, StringComparer.Ordinal);
}

public sealed class CurrencyConverter : JsonConverter<Currency>
{
    public override Currency Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Currency.TryParse(reader.GetString(), out var currency)
            ? currency
            : throw new JsonException("Not an ISO 4217 currency code of three capital letters.");

    public override void Write(Utf8JsonWriter writer, Currency value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Code);
}
