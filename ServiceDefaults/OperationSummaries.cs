using System.Collections.Concurrent;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Platform.ServiceDefaults;

/// <summary>
/// One line on what an operation does. A feature says it in its doc comment, which the build lays beside the assembly; what only reads
/// views, or is one of several operations of a feature, is told by its name.
/// </summary>
internal static partial class OperationSummaries
{
    // What a name cannot spell.
    private static readonly (string Name, string Text)[] spelt =
    [
        (" api ", " API "), (" pdf", " PDF"), (" ubl", " UBL"), (" mrr ", " MRR "), (" add on", " add-on"), (" top up", " top-up"),
        (" roll up", " roll-up"),
    ];

    private static readonly ConcurrentDictionary<Assembly, Dictionary<string, string>> documented = [];

    /// <param name="name">As the route is named: <c>CloseAccount</c>.</param>
    /// <param name="handler">Null where no method of ours handles it.</param>
    public static string Of(string name, MethodInfo? handler) =>
        handler?.DeclaringType is { } feature && feature.Name == name
        && documented.GetOrAdd(feature.Assembly, Read).TryGetValue(feature.FullName!, out var told)
            ? told
            : spelt.Aggregate(
                Words().Replace(name, match => $" {match.Value.ToLowerInvariant()}"),
                (text, it) => text.Replace(it.Name, it.Text, StringComparison.Ordinal));

    private static Dictionary<string, string> Read(Assembly assembly)
    {
        var file = Path.ChangeExtension(assembly.Location, ".xml");
        var types =
            from member in File.Exists(file) ? XDocument.Load(file).Descendants("member") : []
            let name = member.Attribute("name")!.Value
            where name.StartsWith("T:", StringComparison.Ordinal) && member.Element("summary") is not null
            select (Name: name[2..], Summary: member.Element("summary")!);
        return types.ToDictionary(type => type.Name, type => FirstClause(type.Summary));
    }

    private static string FirstClause(XElement summary)
    {
        // What it refers to is named by the last part of its name.
        var text = string.Concat(summary.Nodes().Select(node =>
            node is XElement element ? element.Attribute("cref")?.Value.Split('.')[^1] ?? element.Value : $"{node}"));
        return ClauseEnd().Split(Space().Replace(text, " ").Trim(), 2)[0];
    }

    [GeneratedRegex(@"(?<!^)[A-Z][a-z]*")]
    private static partial Regex Words();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();

    [GeneratedRegex(@"[.:;](\s|$)")]
    private static partial Regex ClauseEnd();
}
