using Platform.Billing.Catalog;
using Platform.EventStore;

namespace Platform.Billing.Usage;

/// <summary>
/// The meters that reported events are checked against. Whoever asks while a read is under way shares the next one with all who
/// ask meanwhile: nobody gets what was read before it asked, and many small callers are few reads.
/// </summary>
public sealed class ReportedMeters(Documents documents)
{
    private readonly Lock gate = new();
    private HashSet<string> asked = [];
    private Task<IReadOnlyList<MeterView>> running = Task.FromResult<IReadOnlyList<MeterView>>([]);
    private Task<IReadOnlyList<MeterView>>? next;

    /// <returns>The meters that read events of these types, and perhaps of others.</returns>
    public Task<IReadOnlyList<MeterView>> Of(IEnumerable<string> eventTypes, CancellationToken cancellation)
    {
        lock (gate)
        {
            asked.UnionWith(eventTypes);
            return (next ??= Read(running)).WaitAsync(cancellation);
        }
    }

    private async Task<IReadOnlyList<MeterView>> Read(Task before)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        HashSet<string> types;
        lock (gate)
        {
            (types, asked) = (asked, []);
            (running, next) = (next!, null);
        }

        // It serves many: no caller's cancellation ends it.
        return await MeterView.OfEventTypes(documents, types, CancellationToken.None);
    }
}
