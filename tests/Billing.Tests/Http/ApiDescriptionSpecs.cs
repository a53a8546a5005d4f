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

    [Theory]
    [InlineData("/swagger/index.html")]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    public async Task Pages_for_people_and_probes_need_no_key(string path) =>
        (await billing.Anonymous.Get(path)).Status.ShouldBe(200);
}
