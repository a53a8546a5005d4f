using System.Diagnostics;
using Npgsql;
using Platform.Billing.Catalog;
using Platform.Contracts;

namespace Platform.Billing.Usage;

/// <summary>What a meter reads in an event's <c>data</c>, in SQL: its value, its dimensions, and whether it reads the event at all.</summary>
/// <param name="add">Takes a parameter and names it.</param>
internal sealed class MeterColumns(MeterDefinition meter, Func<NpgsqlParameter, string> add)
{
    // What ingest takes as a quantity. Anything else was reported before the meter existed and counts as nothing.
    private const string PlainQuantity = "'^([0-9]+[.]?[0-9]*|[.][0-9]+)$'";
    private const string PlainDecimal = "'^-?([0-9]+[.]?[0-9]*|[.][0-9]+)$'";

    private static readonly string Max = Decimals.Format(UsageLimits.QuantityMax);

    public static string Column(int dimension) => $"dimension_{dimension + 1}";

    /// <summary>Numeric; null where the text is no quantity.</summary>
    /// <remarks>Nested, so that only what is a number is read as one; counted repetitions in the pattern would be slower.</remarks>
    public static string QuantityOf(string text) =>
        $"""
        case when {text} ~ {PlainQuantity} and length({text}) <= 31 then
            case when ({text})::numeric < {Max} and scale(({text})::numeric) <= {UsageLimits.DecimalsMax}
                 then ({text})::numeric end
        end
        """;

    /// <summary>Numeric; null where the event has no quantity.</summary>
    public string Value() => meter.ReadsQuantity ? QuantityOf(Text(meter.ValueProperty)) : "null::numeric";

    /// <summary>A member of the data as text, null where there is none.</summary>
    public string Text(string? member) => member is null ? "null::text" : $"data ->> {add(Sql.P(member))}";

    /// <summary>Each dimension as text, null for events without it.</summary>
    public IEnumerable<string> Dimensions() => meter.Dimensions.Select(dimension => $"data ->> {add(Sql.P(dimension))}");

    /// <summary>All must hold.</summary>
    public IEnumerable<string> Conditions() => meter.Filters.Select(Condition);

    private string Condition(PropertyFilter filter)
    {
        var property = add(Sql.P(filter.Property));
        return filter switch
        {
            EqualsFilter it => $"data ->> {property} = {add(Sql.P(it.Value))}",
            InFilter it => $"data ->> {property} = any({add(Sql.P([.. it.Values]))})",
            RangeFilter it =>
                $"""
                case when data ->> {property} ~ {PlainDecimal} and length(data ->> {property}) <= {RangeFilter.TextMax}
                     then {Range($"(data ->> {property})::numeric", it)} else false end
                """,
            _ => throw new UnreachableException($"No filter {filter.GetType().Name}."),
        };

        string Range(string number, RangeFilter it) => string.Join(
            " and ",
            [
                .. it.From is { } from ? [$"{number} >= {add(Sql.P(from))}"] : Array.Empty<string>(),
                .. it.To is { } to ? [$"{number} < {add(Sql.P(to))}"] : Array.Empty<string>(),
            ]);
    }
}
