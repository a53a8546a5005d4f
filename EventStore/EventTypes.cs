using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Platform.EventStore;

/// <summary>
/// The permanent names of event types. Built from event families: abstract records whose
/// <c>[JsonDerivedType(typeof(X), "invoice.finalized.v1")]</c> attributes name their cases.
/// </summary>
public sealed class EventTypes
{
    private readonly FrozenDictionary<string, JsonTypeInfo> byName;
    private readonly FrozenDictionary<Type, (string Name, JsonTypeInfo Json)> byType;

    /// <param name="options">Options whose resolver knows every family and case.</param>
    /// <param name="families">The abstract base records.</param>
    /// <exception cref="InvalidOperationException">Two cases share a name, or a family names no cases.</exception>
    public EventTypes(JsonSerializerOptions options, params IEnumerable<Type> families)
    {
        var cases = families
            .SelectMany(family => options.GetTypeInfo(family).PolymorphismOptions?.DerivedTypes
                ?? throw new InvalidOperationException($"{family.Name} names no cases."))
            .Select(derived => (
                Name: derived.TypeDiscriminator as string
                    ?? throw new InvalidOperationException($"{derived.DerivedType.Name} has no permanent name."),
                Type: derived.DerivedType,
                Json: options.GetTypeInfo(derived.DerivedType)))
            .ToList();

        if (cases.CountBy(@case => @case.Name).FirstOrDefault(name => name.Value > 1) is { Key: { } twice })
            throw new InvalidOperationException($"Two event types are named {twice}.");

        byName = cases.ToFrozenDictionary(@case => @case.Name, @case => @case.Json);
        byType = cases.ToFrozenDictionary(@case => @case.Type, @case => (@case.Name, @case.Json));
    }

    public IReadOnlyCollection<string> Names => byName.Keys;

    public string NameOf(object @event) => Known(@event.GetType()).Name;

    /// <summary>The event's JSON without its name: the name is a column of its own.</summary>
    public byte[] Serialize(object @event) => JsonSerializer.SerializeToUtf8Bytes(@event, Known(@event.GetType()).Json);

    /// <exception cref="UnknownEventTypeException">The event was written by a newer version of this process.</exception>
    public object Deserialize(string name, ReadOnlySpan<byte> json) =>
        byName.TryGetValue(name, out var type)
            ? JsonSerializer.Deserialize(json, type)!
            : throw new UnknownEventTypeException(name);

    /// <summary>The registered names of the types for which <paramref name="accepts"/> is true.</summary>
    internal string[] NamesOf(Func<Type, bool> accepts) =>
        [.. byType.Where(known => accepts(known.Key)).Select(known => known.Value.Name)];

    internal (string Name, byte[] Json) Write(object @event)
    {
        var known = Known(@event.GetType());
        return (known.Name, JsonSerializer.SerializeToUtf8Bytes(@event, known.Json));
    }

    private (string Name, JsonTypeInfo Json) Known(Type type) =>
        byType.TryGetValue(type, out var known)
            ? known
            : throw new InvalidOperationException($"{type.Name} belongs to no registered event family.");
}

public sealed class UnknownEventTypeException(string name) : Exception($"No event type is registered as {name}.");
