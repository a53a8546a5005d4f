using System.Collections;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Platform.Contracts;

namespace Platform.ServiceDefaults;

/// <summary>One look for JSON in requests, answers and stored events: snake_case, decimals and instants as strings.</summary>
public static class PlatformJson
{
    /// <summary>For events and views in the database. Unknown fields are ignored: an older process may read newer rows.</summary>
    /// <param name="contexts">Source-generated contexts that know the types.</param>
    public static JsonSerializerOptions ForStorage(params ReadOnlySpan<IJsonTypeInfoResolver> contexts)
    {
        var options = new JsonSerializerOptions();
        Configure(options, contexts);
        options.MakeReadOnly();
        return options;
    }

    /// <summary>For HTTP bodies. A field that nobody reads is an error: a misspelt limit must not be ignored.</summary>
    public static void ForHttp(JsonSerializerOptions options, params ReadOnlySpan<IJsonTypeInfoResolver> contexts)
    {
        Configure(options, contexts);
        options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        for (var i = 0; i < contexts.Length; i++)
            options.TypeInfoResolverChain[i] = options.TypeInfoResolverChain[i].WithAddedModifier(RefuseNullElements);
    }

    // The reader holds properties to their nullability, but not the elements of lists.
    private static void RefuseNullElements(JsonTypeInfo type)
    {
        if (type is { Kind: JsonTypeInfoKind.Enumerable, ElementType.IsValueType: false })
        {
            type.OnDeserialized = list =>
            {
                if (((IEnumerable)list).Cast<object?>().Contains(null))
                    throw new JsonException("A list has no element null.");
            };
        }
    }

    private static void Configure(JsonSerializerOptions options, ReadOnlySpan<IJsonTypeInfoResolver> contexts)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower;
        options.DictionaryKeyPolicy = null;                 // keys of dictionaries are data
        options.NumberHandling = JsonNumberHandling.Strict;
        options.PropertyNameCaseInsensitive = false;
        options.AllowOutOfOrderMetadataProperties = true;   // jsonb does not keep the order of keys
        options.RespectNullableAnnotations = true;
        options.RespectRequiredConstructorParameters = true; // a missing amount must not read as zero
        options.Converters.Add(new InstantConverter());
        options.Converters.Add(new LocalDateConverter());
        options.Converters.Add(new LocalTimeConverter());
        options.Converters.Add(new DecimalStringConverter());
        options.Converters.Add(new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false));

        for (var i = 0; i < contexts.Length; i++)
            options.TypeInfoResolverChain.Insert(i, contexts[i]);
    }
}
