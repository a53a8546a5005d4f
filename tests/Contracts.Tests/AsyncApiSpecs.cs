using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Xml.Linq;
using NodaTime;
using Platform.Contracts.Messages;
using Platform.Testing;

namespace Platform.Contracts.Tests;

/// <summary>
/// <c>Contracts/asyncapi.json</c>, what partners generate their clients from: one channel and one JSON Schema per message, made
/// from the records and their docstrings. Like the approved files it is rewritten by <c>APPROVE=1</c>, never by hand.
/// </summary>
public class AsyncApiSpecs
{
    // The messages that are sent to a worker's queue; all others are published to an exchange of their type.
    private static readonly Type[] sent = [typeof(ExecuteJob), typeof(CancelAttempt)];

    private static readonly XElement docs =
        XElement.Load(Path.ChangeExtension(typeof(UsageReported).Assembly.Location, "xml")).Element("members")!;

    [Fact]
    public void The_AsyncAPI_document_is_made_from_the_messages() =>
        Approve.Text(Document().ToJsonString(new(JsonSerializerOptions.Default) { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }) + "\n", "../../../Contracts/asyncapi.json");

    [Fact]
    public void Every_sample_has_the_members_that_its_schema_requires_and_no_others()
    {
        foreach (var sample in Samples.Messages)
        {
            var schema = Schema(sample.GetType());
            var members = JsonSerializer.SerializeToNode(sample, sample.GetType(), ContractsJson.Options)!.AsObject();
            members.Select(member => member.Key)
                .ShouldBe(schema["properties"]!.AsObject().Select(property => property.Key), ignoreOrder: true, sample.GetType().Name);
            schema["required"]!.AsArray().Select(name => (string)name!).ShouldBeSubsetOf(members.Select(member => member.Key));
        }
    }

    [Fact]
    public void Exact_numbers_and_times_are_strings_in_the_schemas()
    {
        var use = Schema(typeof(UsageReported))["properties"]!["use"]!["properties"]!;
        ((string)use["gpu_milliseconds"]!["type"]!).ShouldBe("string");
        ((string)Schema(typeof(UsageReported))["properties"]!["to"]!["format"]!).ShouldBe("date-time");
        ((string)Schema(typeof(InvoiceFinalized))["properties"]!["total"]!["type"]!).ShouldBe("object");
    }

    private static JsonObject Document()
    {
        var messages = Samples.Messages.Select(message => message.GetType()).OrderBy(type => type.Name, StringComparer.Ordinal).ToList();
        return new()
        {
            ["asyncapi"] = "3.0.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Platform message contracts",
                ["version"] = "1.0.0",
                ["description"] =
                    "Messages on RabbitMQ in MassTransit's JSON envelope (its member `message` has the schema named here). Every message "
                    + "may come twice or late. Decimals and instants are strings, so that nothing is lost; new members may be added.",
            },
            ["channels"] = Members(messages, type => new JsonObject
            {
                ["address"] = sent.Contains(type) ? "pool.{pool}.{worker_id}" : $"{type.Namespace}:{type.Name}",
                ["parameters"] = sent.Contains(type)
                    ? new JsonObject
                    {
                        ["pool"] = new JsonObject { ["description"] = "on-demand, reserved or spot" },
                        ["worker_id"] = new JsonObject { ["description"] = "The worker that holds the placement." },
                    }
                    : null,
                ["messages"] = new JsonObject { [type.Name] = new JsonObject { ["$ref"] = $"#/components/messages/{type.Name}" } },
            }),
            ["components"] = new JsonObject
            {
                ["messages"] = Members(messages, type => new JsonObject
                {
                    ["summary"] = Summary(type),
                    ["contentType"] = "application/vnd.masstransit+json",
                    ["payload"] = new JsonObject { ["$ref"] = $"#/components/schemas/{type.Name}" },
                }),
                ["schemas"] = Members(messages, Schema),
            },
        };
    }

    private static JsonObject Members(IEnumerable<Type> types, Func<Type, JsonObject> make)
    {
        var members = new JsonObject();
        foreach (var type in types)
        {
            var made = make(type);
            foreach (var missing in made.Where(member => member.Value is null).Select(member => member.Key).ToList())
                made.Remove(missing);
            members[type.Name] = made;
        }

        return members;
    }

    private static JsonObject Schema(Type message) => ContractsJson.Options
        .GetJsonSchemaAsNode(message, new() { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Describe })
        .AsObject();

    // What the converters of the contracts write, which the exporter cannot know; and the docstrings.
    private static JsonObject Describe(JsonSchemaExporterContext context, JsonNode exported)
    {
        var type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
        var schema = Scalar(type) ?? exported as JsonObject ?? [];
        if (schema.ContainsKey("type") && type != context.TypeInfo.Type && schema["type"] is JsonValue single)
            schema["type"] = new JsonArray((string)single!, "null");

        var described = context.PropertyInfo is { } property ? Param(property.DeclaringType, property.Name) : Summary(type);
        if (described is not null)
            schema["description"] = described;
        return schema;
    }

    private static JsonObject? Scalar(Type type) =>
        type == typeof(Instant) ? new() { ["type"] = "string", ["format"] = "date-time" }
        : type == typeof(LocalDate) ? new() { ["type"] = "string", ["format"] = "date" }
        : type == typeof(decimal) ? new() { ["type"] = "string", ["pattern"] = @"^-?\d+(\.\d+)?$" }
        : type == typeof(int) || type == typeof(long) ? new() { ["type"] = "integer" }
        : type == typeof(IReadOnlyDictionary<string, decimal>) ? new()
        {
            ["type"] = "object",
            ["additionalProperties"] = Scalar(typeof(decimal)),
        }
        : type == typeof(Currency) ? new() { ["type"] = "string", ["pattern"] = "^[A-Z]{3}$" }
        : type == typeof(Money) ? new()
        {
            ["type"] = "object",
            ["properties"] = new JsonObject { ["amount"] = Scalar(typeof(decimal)), ["currency"] = Scalar(typeof(Currency)) },
            ["required"] = new JsonArray("amount", "currency"),
        }
        : type.GetInterfaces().Any(it => it.IsGenericType && it.GetGenericTypeDefinition() == typeof(IId<>))
            ? new() { ["type"] = "string", ["format"] = "uuid" }
            : null;

    private static string? Summary(Type type) => Text(Member(type)?.Element("summary"));

    private static string? Param(Type type, string jsonName) => Text(Member(type)?.Elements("param")
        .FirstOrDefault(param => JsonNamingPolicy.SnakeCaseLower.ConvertName((string)param.Attribute("name")!) == jsonName));

    private static XElement? Member(Type type) =>
        docs.Elements("member").FirstOrDefault(member => (string)member.Attribute("name")! == $"T:{type.FullName}");

    // References keep the name that they refer to, as it is on the wire.
    private static string? Text(XElement? doc) => doc is null ? null : string.Join(' ', string.Concat(doc.Nodes().Select(node => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "paramref" } param => JsonNamingPolicy.SnakeCaseLower.ConvertName((string)param.Attribute("name")!),
        XElement { Name.LocalName: "see" } see => ((string?)see.Attribute("cref") ?? "").Split('.')[^1],
        XElement other => other.Value,
        _ => "",
    })).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
