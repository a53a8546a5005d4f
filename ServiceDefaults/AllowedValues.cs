using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;

namespace Platform.ServiceDefaults;

/// <summary>
/// What a field may hold where that is one of a few names. The JSON reader says where it stopped, and of what it would have taken only the
/// name of a C# type, so the request's type is followed to that place.
/// </summary>
internal static partial class AllowedValues
{
    /// <param name="request">The type of the body.</param>
    /// <param name="path">As the reader names places: <c>$.charges[0].model</c>.</param>
    /// <returns>A sentence that lists them; null where other values are allowed too.</returns>
    public static string? At(Type request, string path, JsonSerializerOptions json)
    {
        IEnumerable<JsonTypeInfo> here = [json.GetTypeInfo(request)];
        foreach (var step in Steps().Matches(path).Select(match => match.Value))
        {
            here = step[0] == '['
                ? [.. here.Where(type => type.ElementType is not null).Select(type => json.GetTypeInfo(type.ElementType!))]
                : [.. here.SelectMany(type => WithKinds(type, json)).SelectMany(type => type.Properties)
                    .Where(property => property.Name == step).Select(property => json.GetTypeInfo(property.PropertyType))];
        }

        return here.Select(Sentence).FirstOrDefault(sentence => sentence is not null);
    }

    // Of an object that comes in several kinds, the kind is not known yet.
    private static IEnumerable<JsonTypeInfo> WithKinds(JsonTypeInfo type, JsonSerializerOptions json) =>
        [type, .. (type.PolymorphismOptions?.DerivedTypes ?? []).Select(kind => json.GetTypeInfo(kind.DerivedType))];

    private static string? Sentence(JsonTypeInfo type) => (Nullable.GetUnderlyingType(type.Type) ?? type.Type, type.PolymorphismOptions) switch
    {
        ({ IsEnum: true } names, _) => $"One of {List(Enum.GetNames(names).Select(JsonNamingPolicy.SnakeCaseLower.ConvertName))}.",
        (_, { TypeDiscriminatorPropertyName: var kind, DerivedTypes: var kinds }) =>
            $"Its {kind} is one of {List(kinds.Select(it => $"{it.TypeDiscriminator}"))}.",
        _ => null,
    };

    private static string List(IEnumerable<string> names) => string.Join(", ", names);

    [GeneratedRegex(@"\[\d+\]|[^.\[\]$]+")]
    private static partial Regex Steps();
}
