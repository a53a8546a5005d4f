using System.Text.Json;

namespace Platform.Billing.Usage;

/// <summary>Events of one tenant from one sender, hashed and written out before anybody waits for the tenant's lane.</summary>
/// <param name="AttemptId">The attempt whose signed batch they come from; null for reported usage.</param>
/// <param name="ReportedBy">An API key or a worker.</param>
public sealed record UsageDelivery(Guid TenantId, IReadOnlyList<UsageEvent> Events, Guid? AttemptId, string ReportedBy)
{
    internal sealed record Entry(UsageEvent Event, Guid Key, byte[] Hash, Guid Content, byte[] Data);

    internal Entry[] Entries { get; } = [.. Events.Select(it =>
    {
        var hash = it.ContentHash();
        return new Entry(it, UsageIdentity.Key(it.Source, it.Id), hash, UsageIdentity.Content(hash), Json(it.Data));
    })];

    private static byte[] Json(IReadOnlyDictionary<string, string> data) => JsonSerializer.SerializeToUtf8Bytes(
        data as Dictionary<string, string> ?? data.ToDictionary(), BillingJson.Default.DictionaryStringString);
}
