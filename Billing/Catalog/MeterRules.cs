namespace Platform.Billing.Catalog;

internal sealed record MeterFault(string Field, string Problem);

/// <summary>Which definitions of meters make sense.</summary>
internal static class MeterRules
{
    private const int FiltersMax = 20;
    private const int ValuesMax = 100;
    private const int TextMax = 1000;

    /// <summary>Every field that is wrong.</summary>
    public static IReadOnlyList<MeterFault> Faults(MeterDefinition it) =>
    [
        .. When(
            it.Aggregation is Aggregation.Count && it.ValueProperty is not null, "value_property",
            "A count reads no member of the data."),
        .. When(
            it.Aggregation is not Aggregation.Count && !IsMember(it.ValueProperty), "value_property",
            "The aggregation needs the member of the data that it measures, 1 to 100 characters."),
        .. When(
            it.Aggregation is Aggregation.Percentile && !(it.Percentile is > 0 and <= 100 && it.Percentile.Value.Scale <= 6),
            "percentile", "A percentile is above 0 and at most 100, with at most 6 decimals."),
        .. When(
            it.Aggregation is not Aggregation.Percentile && it.Percentile is not null, "percentile",
            "Only the aggregation percentile has one."),
        .. When(
            (it.Aggregation is Aggregation.WeightedSum) != it.TimeUnit is not null, "time_unit",
            "A weighted_sum, and nothing else, says whether it counts by the second or by the hour."),
        .. When(it.Filters.Count > FiltersMax, "filters", $"At most {FiltersMax} filters."),
        .. it.Filters.Take(FiltersMax).Index().SelectMany(filter => Faults(filter.Item, $"filters[{filter.Index}]")),
        .. When(
            it.Dimensions.Count > MeterDefinition.DimensionsMax, "dimensions",
            $"At most {MeterDefinition.DimensionsMax} dimensions."),
        .. it.Dimensions.Take(MeterDefinition.DimensionsMax).Index().SelectMany(dimension => When(
            !IsMember(dimension.Item) || it.Dimensions.Take(dimension.Index).Contains(dimension.Item),
            $"dimensions[{dimension.Index}]",
            "A member of the data, 1 to 100 characters without commas and colons, named once.")),
    ];

    private static IEnumerable<MeterFault> Faults(PropertyFilter? filter, string field) => filter is null ? [new(field, "A filter.")] :
    [
        .. When(!IsMember(filter.Property), $"{field}.property", "A member of the data, 1 to 100 characters."),
        .. filter switch
        {
            EqualsFilter it => When(!IsText(it.Value), $"{field}.value", $"A text of at most {TextMax} characters."),
            InFilter it => When(
                it.Values.Count is 0 or > ValuesMax || !it.Values.All(IsText), $"{field}.values",
                $"1 to {ValuesMax} texts of at most {TextMax} characters."),
            RangeFilter it => When(
                it is { From: null, To: null } || it.From >= it.To, $"{field}.to",
                "A range has a bound at least, and its end is above its start."),
            _ => throw new System.Diagnostics.UnreachableException($"No filter {filter.GetType().Name}."),
        },
    ];

    private static IEnumerable<MeterFault> When(bool wrong, string field, string problem) => wrong ? [new(field, problem)] : [];

    private static bool IsMember(string? name) =>
        name is { Length: >= 1 and <= 100 } && !name.Any(it => it is ',' or ':' || char.IsControl(it));

    private static bool IsText(string? text) =>
        text is { Length: <= TextMax } && !text.Contains('\0', StringComparison.Ordinal);
}
