using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Platform.ServiceDefaults;

/// <summary>
/// Refuses U+0000 in queries and in the bodies of idempotent writes, by the field's name. PostgreSQL stores every character but this one,
/// and a statement that it refuses while it is being prepared stays broken on its pooled connection: so it must not come that far.
/// </summary>
internal sealed class StorableTextMiddleware(RequestDelegate next)
{
    private const string Rule = "A text holds any character but U+0000.";

    public async Task InvokeAsync(HttpContext http)
    {
        if (http.Request.Query.FirstOrDefault(query => query.Value.Any(HasNul)).Key is { } parameter)
            throw new InvalidRequestException(parameter, Rule);

        if (http.GetEndpoint()?.Metadata.GetMetadata<IdempotentAttribute>() is not null
            && await FieldWithNul(http.Request) is { } field)
        {
            throw new InvalidRequestException(field, Rule);
        }

        await next(http);
    }

    // JSON can hold it as an escape alone; few bodies have one, and no other is parsed for it.
    private static async Task<string?> FieldWithNul(HttpRequest request)
    {
        request.EnableBuffering();
        using var body = new MemoryStream();
        await request.Body.CopyToAsync(body, request.HttpContext.RequestAborted);
        request.Body.Position = 0;
        if (body.GetBuffer().AsSpan(0, (int)body.Length).IndexOf("\\u0000"u8) < 0)
            return null;

        using var json = JsonDocument.Parse(body.GetBuffer().AsMemory(0, (int)body.Length));
        return PathOfNul(json.RootElement, "");
    }

    private static string? PathOfNul(JsonElement element, string path) => element.ValueKind switch
    {
        JsonValueKind.String => HasNul(element.GetString()) ? path : null,
        JsonValueKind.Array => element.EnumerateArray().Index()
            .Select(it => PathOfNul(it.Item, $"{path}[{it.Index}]")).FirstOrDefault(found => found is not null),
        JsonValueKind.Object => element.EnumerateObject()
            .Select(member => HasNul(member.Name) ? path : PathOfNul(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}"))
            .FirstOrDefault(found => found is not null),
        _ => null,
    };

    private static bool HasNul(string? text) => text is not null && text.Contains('\0', StringComparison.Ordinal);
}
