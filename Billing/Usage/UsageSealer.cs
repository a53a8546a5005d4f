namespace Platform.Billing.Usage;

/// <summary>
/// Binds usage that is behind, every ten minutes and beside all writers, so that closes find little left to bind. What cannot be bound
/// keeps nothing else from it.
/// </summary>
public sealed partial class UsageSealer(SealUsage seal, TimeProvider clock, ILogger<UsageSealer> logger) : BackgroundService
{
    // Most of one's time goes by between here and the database.
    private const int AtOnce = 2;

    /// <summary>Binds everything that is behind.</summary>
    public async Task SealAll(CancellationToken cancellation) => await Parallel.ForEachAsync(
        await seal.Behind(cancellation),
        new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation },
        async (it, token) =>
        {
            try
            {
                await seal.Seal(it.Tenant, it.Type, token);
            }
            catch (Exception error) when (!token.IsCancellationRequested)
            {
                NotBound(error, it.Tenant.Value);
            }
        });

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(10), clock);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await SealAll(stoppingToken);
            }
            catch (Exception error) when (!stoppingToken.IsCancellationRequested)
            {
                NotFound(error);
            }
        }
    }

    [LoggerMessage(EventId = 24, Level = LogLevel.Warning, Message = "What is to be bound was not found; the next try is in ten minutes")]
    private partial void NotFound(Exception error);

    [LoggerMessage(EventId = 25, Level = LogLevel.Warning, Message = "Usage of tenant {Tenant} was not bound; the next try is in ten minutes")]
    private partial void NotBound(Exception error, Guid tenant);
}
