using System.Text.Json;

namespace Platform.Contracts.Tests;

public class IdSpecs
{
    public static TheoryData<Type> Ids =>
        [.. typeof(TenantId).Assembly.GetTypes().Where(type => type.IsValueType && type.Name.EndsWith("Id", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Ids))]
    public void Every_id_is_a_string_in_JSON_and_never_empty(Type id)
    {
        const string text = "\"0198c0de-0000-7000-8000-000000000001\"";

        var read = JsonSerializer.Deserialize(text, id, ContractsJson.Options);

        JsonSerializer.Serialize(read, id, ContractsJson.Options).ShouldBe(text);
        foreach (var wrong in new[] { "\"00000000-0000-0000-0000-000000000000\"", "\"\"", "\"x\"", "1" })
            Should.Throw<JsonException>(() => JsonSerializer.Deserialize(wrong, id, ContractsJson.Options));
    }

    [Fact]
    public void New_ids_grow_with_time()
    {
        var earlier = JobId.New();
        var later = JobId.New();

        later.Value.Version.ShouldBe(7);
        string.CompareOrdinal(earlier.ToString()[..13], later.ToString()[..13]).ShouldBeLessThanOrEqualTo(0);
    }
}
