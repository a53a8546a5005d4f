using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Contracts.Verification;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Subscription = Platform.Billing.Subscriptions.Subscription;

namespace Platform.Billing.Invoices;

/// <summary>
/// Makes an invoice again from the events as they were known when it was closed, and says whether it comes out the same, byte for
/// byte: its periods, every line with its breakdown, discounts and tax, and the root over the usage that it counts. Its id, its number,
/// the moment, the tax rates that it names and whether its lines name their add-ons are taken as they were.
/// </summary>
public static class ReplayInvoice
{
    /// <param name="StoredSha256">Over the stored events' JSON, one a line, in lower-case hexadecimal.</param>
    /// <param name="Differences">Where the two differ, at most a hundred; empty where they are identical.</param>
    public sealed record Replayed(
        InvoiceId InvoiceId, bool Identical, string StoredSha256, string ReplayedSha256, IReadOnlyList<Difference> Differences);

    /// <param name="Event">Which event of the invoice: 1 is the draft, then its lines, discounts and tax.</param>
    /// <param name="Stored">Null where the replay has an event more.</param>
    public sealed record Difference(int Event, string? Stored, string? Replayed);

    private const int DifferencesMax = 100;

    public static void Map(RouteGroupBuilder invoices) => invoices.MapGet("/{id}/replay", Handle).WithName(nameof(ReplayInvoice));

    public static Replayed Compare(InvoiceId id, IReadOnlyList<string> stored, IReadOnlyList<string> replayed)
    {
        var differences = Enumerable.Range(0, Math.Max(stored.Count, replayed.Count))
            .Select(at => new Difference(at + 1, stored.ElementAtOrDefault(at), replayed.ElementAtOrDefault(at)))
            .Where(it => it.Stored != it.Replayed)
            .Take(DifferencesMax)
            .ToList();
        return new(id, differences.Count == 0, Sha256(stored), Sha256(replayed), differences);
    }

    private static async Task<Results<Ok<Replayed>, ProblemHttpResult>> Handle(
        InvoiceId id, Caller caller, EventStore.EventStore store, Documents documents, BillingDatabase database,
        ComposeInvoice compose, CancellationToken cancellation)
    {
        var events = (await store.Read(Invoice.Stream(caller.TenantId, id), cancellation))
            .Select(recorded => (InvoiceEvent)recorded.Data).ToList();
        if (events.FirstOrDefault() is not InvoiceDrafted drafted || events.OfType<InvoiceFinalized>().FirstOrDefault() is not { } final)
            return Problems.NotFound("invoice");

        var ending = new List<EndingPeriod>();
        foreach (var it in drafted.Subscriptions)
        {
            var subscription = await BeforeClose(store, caller.TenantId, it, cancellation);
            ending.Add(new(it.SubscriptionId, subscription, new(it.PeriodStart, it.PeriodEnd)));
        }

        var (content, tree) = await database.Read(
            caller.TenantId,
            async connection =>
            {
                var terms = await InvoiceTerms.ReadKnownTo(
                    connection, documents, caller.TenantId, id, drafted.At,
                    events.OfType<InvoiceTaxAdded>().SelectMany(tax => tax.TaxRateIds), cancellation);
                var composed = (await compose.Compose(
                    new(connection), caller.TenantId, ending, terms, drafted.UsageThrough, cancellation))!;
                return (composed, (await UsageTree.OfEvents(connection, caller.TenantId, composed.Usage, cancellation)).Head);
            },
            cancellation);
        var again = DraftInvoice.Decide(new(id, caller.TenantId, content, drafted.At, drafted.Progressive), Invoice.Initial);
        var sum = Fold.After(Invoice.Initial, again.Events).Total;

        return TypedResults.Ok(Compare(
            id,
            [.. events.TakeWhile(@event => @event is not InvoiceFinalized).Select(Text), Text(final.Sum, final.UsageTree)],
            [.. again.Events.Select((made, place) => Text(AsNamed(made, events.ElementAtOrDefault(place)))), Text(sum, tree)]));
    }

    // Lines did not always name their add-on.
    private static InvoiceEvent AsNamed(InvoiceEvent made, InvoiceEvent? stored) =>
        (made, stored) is (InvoiceLineAdded line, InvoiceLineAdded { AddOnId: null }) ? line with { AddOnId = null } : made;

    private static async Task<Subscription> BeforeClose(
        EventStore.EventStore store, TenantId tenant, InvoicedSubscription period, CancellationToken cancellation) =>
        Fold.After(
            Subscription.Initial,
            (await store.Read(Subscription.Stream(tenant, period.SubscriptionId), cancellation))
                .Select(recorded => (SubscriptionEvent)recorded.Data)
                .TakeWhile(@event => @event is not PeriodClosed closed || closed.Number < period.PeriodNumber));

    private static string Text(InvoiceEvent @event) => Encoding.UTF8.GetString(Stored.Events.Serialize(@event));

    private static string Text(Money sum, UsageTreeHead? tree) => $"{sum} {tree?.Size} {tree?.Root}";

    private static string Sha256(IEnumerable<string> lines) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', lines))));
}
