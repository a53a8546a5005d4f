using System.Reflection;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.AspNetCore.Routing;
using Microsoft.OpenApi;
using NodaTime;
using Platform.Contracts;

namespace Platform.ServiceDefaults;

/// <summary>What the OpenAPI generator cannot see by itself: how our types look as JSON, the key, the idempotency header.</summary>
internal static class ApiDescription
{
    private const string KeyScheme = "api_key";
    private const string ProblemName = "Problem";

    private static readonly Dictionary<Type, (string? Format, string Description)> TextFormats = new()
    {
        [typeof(decimal)] = ("decimal", "An exact decimal, for example \"12.50\"."),
        [typeof(Instant)] = ("date-time", "ISO 8601 in UTC."),
        [typeof(LocalDate)] = ("date", "ISO 8601."),
        [typeof(LocalTime)] = (null, "A time of day in whole minutes, for example \"08:00\"."),
        [typeof(Currency)] = (null, "An ISO 4217 code."),
    };

    public static void Configure(OpenApiOptions options)
    {
        options.AddSchemaTransformer((schema, context, _) =>
        {
            var type = Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type;
            if (type == typeof(Money))
                AsMoney(schema);
            else if (TextFormats.TryGetValue(type, out var text))
                AsText(schema, text.Format, text.Description);
            else if (IsIdType(type))
                AsText(schema, "uuid", description: null);
            else if (context.JsonTypeInfo.ElementType is { } element && IsIdType(element))
                schema.Items = new OpenApiSchema { Type = JsonSchemaType.String, Format = "uuid" };
            return Task.CompletedTask;
        });

        options.AddOperationTransformer((operation, context, _) =>
        {
            var metadata = context.Description.ActionDescriptor.EndpointMetadata;
            if (metadata.OfType<IEndpointNameMetadata>().LastOrDefault()?.EndpointName is { } name)
                operation.Summary ??= OperationSummaries.Of(name, metadata.OfType<MethodInfo>().FirstOrDefault());
            if (metadata.OfType<IdempotentAttribute>().Any())
                (operation.Parameters ??= []).Add(IdempotencyKey);
            if (!metadata.OfType<IAllowAnonymous>().Any())
                (operation.Security ??= []).Add(new() { [new OpenApiSecuritySchemeReference(KeyScheme, context.Document)] = [] });
            (operation.Responses ??= [])["default"] = new OpenApiResponse
            {
                Description = "Anything else.",
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/problem+json"] = new() { Schema = new OpenApiSchemaReference(ProblemName, context.Document) },
                },
            };
            return Task.CompletedTask;
        });

        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Servers = [];      // relative to wherever the document was read: never a machine's address
            document.Components ??= new();
            (document.Components.Schemas ??= new Dictionary<string, IOpenApiSchema>())[ProblemName] = Problem;
            (document.Components.SecuritySchemes ??= new Dictionary<string, IOpenApiSecurityScheme>())[KeyScheme] =
                new OpenApiSecurityScheme
                {
                    Type = SecuritySchemeType.Http,
                    Scheme = "bearer",
                    Description = "An API key, pk_ and 64 hexadecimal digits.",
                };
            return Task.CompletedTask;
        });
    }

    private static OpenApiParameter IdempotencyKey => new()
    {
        Name = IdempotencyMiddleware.Header,
        In = ParameterLocation.Header,
        Required = true,
        Description = "1 to 200 visible ASCII characters. The same key and request replay the first answer.",
        Schema = new OpenApiSchema { Type = JsonSchemaType.String },
    };

    private static OpenApiSchema Problem => new()
    {
        Type = JsonSchemaType.Object,
        Description = "RFC 9457 problem details.",
        Required = new HashSet<string> { "type", "title", "status" },
        Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["type"] = Text("A URI that ends in a stable code."),
            ["title"] = Text("A sentence for people."),
            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32" },
            ["errors"] = new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                Description = "What is wrong, by the field that it is wrong with.",
                AdditionalProperties = new OpenApiSchema
                {
                    Type = JsonSchemaType.Array,
                    Items = new OpenApiSchema { Type = JsonSchemaType.String },
                },
            },
            ["trace_id"] = Text("By which operators find the request."),
        },
    };

    private static OpenApiSchema Text(string description) => new() { Type = JsonSchemaType.String, Description = description };

    private static bool IsIdType(Type type) => type.IsValueType && Array.Exists(type.GetInterfaces(), IsId);

    private static bool IsId(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IId<>);

    private static void AsText(OpenApiSchema schema, string? format, string? description)
    {
        schema.Type = JsonSchemaType.String | (schema.Type & JsonSchemaType.Null ?? 0);
        schema.Format = format;
        schema.Pattern = null;
        schema.Description ??= description;
        schema.Properties = null;
        schema.Required = null;
    }

    private static void AsMoney(OpenApiSchema schema)
    {
        schema.Type = JsonSchemaType.Object;
        schema.Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["amount"] = new OpenApiSchema { Type = JsonSchemaType.String, Format = "decimal" },
            ["currency"] = new OpenApiSchema { Type = JsonSchemaType.String },
        };
        schema.Required = new HashSet<string> { "amount", "currency" };
    }
}
