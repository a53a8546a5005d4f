using NodaTime;
using Npgsql;

namespace Platform.Billing.Usage;

/// <summary>
/// Makes the ledger's partitions ahead of time, once a day. None is needed for an event to be taken: the default partition
/// holds what has none yet, and gives it to its month when that is made.
/// </summary>
public sealed partial class UsageMonths(BillingDatabase database, TimeProvider clock, ILogger<UsageMonths> logger) : BackgroundService
{
    private static readonly Duration Ahead = Duration.FromDays(62);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var daily = new PeriodicTimer(TimeSpan.FromDays(1), clock);
        do
        {
            try
            {
                await Make(stoppingToken);
            }
            catch (NpgsqlException error)
            {
                NotMade(error);
            }
        }
        while (await daily.WaitForNextTickAsync(stoppingToken));
    }

    private Task Make(CancellationToken cancellation) => database.WriteShared(
        async connection =>
        {
            var now = clock.Now();
            // Readers and writers of the ledger wait while this waits for them: better tomorrow than long.
            await using var command = connection.Command(
                "select set_config('lock_timeout', '2s', true), billing.make_usage_months($1, $2)", Sql.P(now), Sql.P(now + Ahead));
            await command.ExecuteNonQueryAsync(cancellation);
        },
        cancellation);

    [LoggerMessage(EventId = 21, Level = LogLevel.Warning, Message = "The ledger's next months were not made; the next try is tomorrow")]
    private partial void NotMade(Exception error);
}
