using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Platform.Contracts;

/// <summary>
/// An amount that can be posted: a whole number of minor units of one currency, in that currency's own exponent
/// (JPY 0, USD 2, KWD 3). It cannot hold half a cent, so it never needs rounding; <see cref="Round"/> is the one
/// place where an exact amount becomes money. Arithmetic is checked and refuses to mix currencies.
/// On the wire: <c>{"amount":"12.50","currency":"USD"}</c>, the amount with exactly the currency's decimals.
/// </summary>
[JsonConverter(typeof(MoneyConverter))]
public readonly record struct Money(long MinorUnits, Currency Currency) : IComparable<Money>
{
    public static Money Zero(Currency currency) => new(0, currency);

    /// <summary>Rounds an exact amount in major units half away from zero to the currency's minor unit.</summary>
    /// <exception cref="OverflowException">The amount does not fit in 64 bits of minor units.</exception>
    public static Money Round(decimal amount, Currency currency) => new(
        decimal.ToInt64(decimal.Round(amount * currency.MinorUnitsPerMajor, MidpointRounding.AwayFromZero)), currency);

    /// <summary>The amount in major units, with exactly the currency's number of decimals.</summary>
    public decimal Amount => MinorUnits * currencyUnit;

    public static Money operator +(Money left, Money right) =>
        left with { MinorUnits = left.MinorUnits + right.In(left.Currency) };

    public static Money operator -(Money left, Money right) =>
        left with { MinorUnits = left.MinorUnits - right.In(left.Currency) };

    public static bool operator <(Money left, Money right) => left.CompareTo(right) < 0;
    public static bool operator >(Money left, Money right) => left.CompareTo(right) > 0;
    public static bool operator <=(Money left, Money right) => left.CompareTo(right) <= 0;
    public static bool operator >=(Money left, Money right) => left.CompareTo(right) >= 0;

    public int CompareTo(Money other) => MinorUnits.CompareTo(other.In(Currency));

    /// <summary>Splits into parts that add up to exactly this amount; the first parts take the odd minor units.</summary>
    public IReadOnlyList<Money> SplitInto(int parts)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(parts, 1);

        var (share, odd) = Math.DivRem(MinorUnits, parts);
        var currency = Currency;
        return [.. Enumerable.Range(0, parts).Select(i => new Money(share + OddUnit(i, odd), currency))];

        static long OddUnit(int index, long odd) => index < Math.Abs(odd) ? Math.Sign(odd) : 0;
    }

    /// <summary>
    /// Splits by the method of largest remainders into parts that add up to exactly this amount: every share is rounded down, and the
    /// minor units that are left go to those that lost most by it, of equals to the first.
    /// </summary>
    /// <param name="shares">Exact, in major units; this amount is their sum, rounded.</param>
    public IReadOnlyList<Money> SplitBy(IReadOnlyList<decimal> shares)
    {
        var currency = Currency;
        decimal[] exact = [.. shares.Select(share => share * currency.MinorUnitsPerMajor)];
        long[] parts = [.. exact.Select(share => decimal.ToInt64(decimal.Floor(share)))];
        var left = MinorUnits - parts.Sum();
        if (left < 0 || left > parts.Length)
            throw new ArgumentException($"The shares do not sum to {this}.", nameof(shares));

        foreach (var index in Enumerable.Range(0, parts.Length).OrderByDescending(index => exact[index] - parts[index]).Take((int)left))
            parts[index]++;
        return [.. parts.Select(part => new Money(part, currency))];
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Amount} {Currency}");

    // 0.01m times a whole number keeps two decimals, so that 12.50 does not print as 12.5.
    private decimal currencyUnit => new(1, 0, 0, isNegative: false, Currency.Exponent);

    private long In(Currency expected) =>
        Currency == expected
            ? MinorUnits
            : throw new InvalidOperationException($"Cannot combine {Currency} with {expected}.");
}

public sealed class MoneyConverter : JsonConverter<Money>
{
    public override Money Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException("Money is an object with an amount and a currency.");

        string? amount = null, currencyCode = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString();
            reader.Read();
            switch (name)
            {
                case "amount" when reader.TokenType == JsonTokenType.String:
                    amount = reader.GetString();
                    break;
                case "currency" when reader.TokenType == JsonTokenType.String:
                    currencyCode = reader.GetString();
                    break;
                default:
                    throw new JsonException($"Money has no field '{name}' of this type; it holds two strings, amount and currency.");
            }
        }

        if (!Currency.TryParse(currencyCode, out var currency))
            throw new JsonException("currency is not an ISO 4217 code.");
        if (!Decimals.TryParse(amount, out var exact) || Money.Round(exact, currency) is var money && money.Amount != exact)
            throw new JsonException($"amount is not a decimal with at most {currency.Exponent} decimals.");

        return money;
    }

    public override void Write(Utf8JsonWriter writer, Money value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteString("amount", Decimals.Format(value.Amount));
        writer.WriteString("currency", value.Currency.Code);
        writer.WriteEndObject();
    }
}
