using Platform.Billing.Catalog;

namespace Platform.Billing.Usage;

/// <summary>
/// Rolls up what is behind, once a second; any number of processes may. What cannot be rolled up stays behind and keeps nothing else
/// from it: quantities are complete without.
/// </summary>
public sealed partial class UsageRoller(RollUpUsage rollUp, TimeProvider clock, ILogger<UsageRoller> logger) : BackgroundService
{
    // Most of one's time goes by between here and the database.
    private const int AtOnce = 2;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                var behind = await rollUp.Behind(stoppingToken);
                if (behind.Count == 0)
                    continue;
                var meters = (await rollUp.MetersOf(behind.Select(it => it.Type), stoppingToken)).ToLookup(meter => meter.EventType);
                await Parallel.ForEachAsync(
                    behind, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = stoppingToken },
                    async (it, token) => await RollUp(it.Tenant.Value, it.Type, [.. meters[it.Type]], token));
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)
            {
                NotFound(error);
            }
        }
    }

    private async Task RollUp(Guid tenant, string type, IReadOnlyList<MeterView> meters, CancellationToken cancellation)
    {
        try
        {
            await rollUp.RollUp(new(tenant), type, meters, cancellation);
        }
        catch (Exception error) when (!cancellation.IsCancellationRequested)
        {
            NotRolledUp(error, tenant);
        }
    }

    [LoggerMessage(EventId = 22, Level = LogLevel.Warning, Message = "What is to be rolled up was not found; the next try is in a second")]
    private partial void NotFound(Exception error);

    [LoggerMessage(EventId = 23, Level = LogLevel.Warning, Message = "Usage of tenant {Tenant} was not rolled up; the next try is in a second")]
    private partial void NotRolledUp(Exception error, Guid tenant);
}
