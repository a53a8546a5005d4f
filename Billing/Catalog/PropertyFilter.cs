using System.Text.Json.Serialization;
using Platform.Contracts;

namespace Platform.Billing.Catalog;

/// <summary>
/// Which events a meter reads, by one member of their data; all filters of a meter must hold. An event without the member passes
/// no filter. <c>MeterColumns</c> says the same in SQL.
/// </summary>
/// <param name="Property">The member.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(EqualsFilter), "equals")]
[JsonDerivedType(typeof(InFilter), "in")]
[JsonDerivedType(typeof(RangeFilter), "range")]
public abstract record PropertyFilter(string Property)
{
    public bool Passes(IReadOnlyDictionary<string, string> data) => data.TryGetValue(Property, out var text) && PassesText(text);

    protected abstract bool PassesText(string text);
}

/// <summary>The member is exactly this text.</summary>
public sealed record EqualsFilter(string Property, string Value) : PropertyFilter(Property)
{
    protected override bool PassesText(string text) => text == Value;
}

/// <summary>The member is one of these texts.</summary>
public sealed record InFilter(string Property, IReadOnlyList<string> Values) : PropertyFilter(Property)
{
    protected override bool PassesText(string text) => Values.Contains(text);

    public bool Equals(InFilter? other) => base.Equals(other) && Values.SequenceEqual(other.Values);

    public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Values.Count);
}

/// <summary>
/// The member is a decimal, of at most <see cref="TextMax"/> characters, in a half-open range; at least one bound is set.
/// </summary>
/// <param name="From">Included.</param>
/// <param name="To">Excluded.</param>
public sealed record RangeFilter(
    string Property,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? From = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? To = null) : PropertyFilter(Property)
{
    /// <summary>Whatever is shorter a <see cref="decimal"/> holds exactly.</summary>
    public const int TextMax = 28;

    protected override bool PassesText(string text) =>
        text.Length <= TextMax && Decimals.TryParse(text, out var number) && !(number < From) && !(number >= To);
}
