using System.Text.Json;
using Platform.Billing.Catalog;

namespace Platform.Billing.Usage;

/// <summary>Events of one tenant from one sender, hashed and written out before anybody waits for the tenant's lane.</summary>
/// <param name="AttemptId">The attempt whose signed batch they come from; null for reported usage.</param>
/// <param name="ReportedBy">An API key or a worker.</param>
public sealed record UsageDelivery(Guid TenantId, IReadOnlyList<UsageEvent> Events, Guid? AttemptId, string ReportedBy)
{
    /// <summary>So many events and more go into the ledger by <see cref="UsageCopy"/>: fewer are cheaper in one statement.</summary>
    public const int LargeFrom = 256;

    public bool IsLarge => Events.Count >= LargeFrom;

    /// <summary>
    /// All that read these types of usage, where the sender knows them: a large delivery is then rolled up as it is taken. Others are
    /// within a second.
    /// </summary>
    public IReadOnlyList<MeterView> Meters { get; init; } = [];

    internal sealed record Entry(UsageEvent Event, Guid Key, byte[] Hash, Guid Content, byte[] Data);

    internal Entry[] Entries { get; } = [.. Events.Select(it =>
    {
        var hash = it.ContentHash();
        return new Entry(it, UsageIdentity.Key(it.Source, it.Id), hash, UsageIdentity.Content(hash), Json(it.Data));
    })];

    private static byte[] Json(IReadOnlyDictionary<string, string> data) => JsonSerializer.SerializeToUtf8Bytes(
        data as Dictionary<string, string> ?? data.ToDictionary(), BillingJson.Default.DictionaryStringString);
}
