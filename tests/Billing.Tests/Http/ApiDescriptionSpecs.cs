using Platform.Testing;

namespace Platform.Billing.Tests.Http;

public sealed class ApiDescriptionSpecs(BillingHost billing)
{
    [Fact]
    public async Task The_OpenAPI_document_is_as_approved()
    {
        var answer = await billing.Anonymous.Get("/openapi/v1.json");

        answer.Status.ShouldBe(200);
        Approve.Text(Pretty.Json(answer.Json) + "\n", "openapi.json");
    }

    [Fact]
    public async Task Every_operation_tells_what_an_error_looks_like_and_every_list_what_it_holds()
    {
        var document = (await billing.Anonymous.Get("/openapi/v1.json")).Json;

        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            foreach (var operation in path.Value.EnumerateObject())
            {
                operation.Value.GetProperty("responses").GetProperty("default").GetProperty("content")
                    .GetProperty("application/problem+json").GetProperty("schema").GetProperty("$ref").GetString()
                    .ShouldBe("#/components/schemas/Problem", $"{operation.Name} {path.Name}");
            }
        }

        foreach (var schema in document.GetProperty("components").GetProperty("schemas").EnumerateObject())
        {
            if (!schema.Value.TryGetProperty("properties", out var properties))
                continue;
            foreach (var property in properties.EnumerateObject().Where(it => it.Value.TryGetProperty("type", out var type) && $"{type}" == "array"))
                property.Value.TryGetProperty("items", out _).ShouldBeTrue($"{schema.Name}.{property.Name}");
        }
    }

    [Fact]
    public async Task Every_operation_says_in_a_line_what_it_does()
    {
        var operations = (await billing.Anonymous.Get("/openapi/v1.json")).Json.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject())
            .ToDictionary(it => it.Value.GetProperty("operationId").GetString()!, it => it.Value.GetProperty("summary").GetString()!);

        operations.ShouldAllBe(it => it.Value.Length >= 5 && it.Value.Length <= 160 && char.IsUpper(it.Value[0]));
        operations["IssueCreditNote"].ShouldBe("Takes back part of a finalized invoice", "as the feature says");
        operations["ListInvoices"].ShouldBe("List invoices", "as the route is named");
    }

    [Theory]
    [InlineData("/swagger/index.html")]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    public async Task Pages_for_people_and_probes_need_no_key(string path) =>
        (await billing.Anonymous.Get(path)).Status.ShouldBe(200);
}
