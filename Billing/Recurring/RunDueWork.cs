using System.Collections.Concurrent;
using MassTransit;
using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Billing.Recurring;

/// <summary>
/// Does all that is due, of all live tenants. Any number may run at once and any number of times. One tenant's failure does not keep the
/// others from theirs; the message is retried for those that failed.
/// </summary>
public sealed partial class RunDueWork(IEnumerable<IDueWork> works, TimeProvider clock, ILogger<RunDueWork> logger)
{
    private const int PageSize = 1_000;

    // Tenants of different lanes do not wait for each other, and much of each one's time goes by between here and the database. Somewhat
    // more than there are lanes, so that of a lane the next is there when one is done.
    private const int GroupsAtOnce = 12;

    /// <returns>How much was done, over all kinds of work.</returns>
    /// <exception cref="AggregateException">Something could not be done; everything else was.</exception>
    public async Task<int> Run(Instant asOf, Cause cause, CancellationToken cancellation)
    {
        // A sender whose clock is ahead cannot bring anything about before its time: usage of a period is still to come.
        var now = Instant.Min(asOf, clock.Now());
        var (done, failures) = (0, new ConcurrentQueue<Exception>());
        var together = new ParallelOptions { MaxDegreeOfParallelism = GroupsAtOnce, CancellationToken = cancellation };

        foreach (var work in works)
        {
            for (DueTenant? last = null; ;)
            {
                var page = await work.Due(now, last, PageSize, cancellation);
                await Parallel.ForEachAsync(
                    work.Groups(page.Select(due => due.TenantId).Distinct()), together,
                    async (group, token) => Interlocked.Add(ref done, await Do(work, group, token)));

                if (page.Count < PageSize)
                    break;
                last = page[^1];
            }
        }

        return failures.IsEmpty ? done : throw new AggregateException("Some work that is due was not done.", failures);

        async Task<int> Do(IDueWork work, IReadOnlyList<TenantId> group, CancellationToken token)
        {
            try
            {
                return await work.Do(group, now, cause, token);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                if (group is [var tenant])
                {
                    Failed(work.Name, tenant, error);
                    failures.Enqueue(error);
                    return 0;
                }
            }

            // Alone, each fails or succeeds by itself.
            var some = 0;
            foreach (var tenant in group)
                some += await Do(work, [tenant], token);
            return some;
        }
    }

    [LoggerMessage(EventId = 10, Level = LogLevel.Error, Message = "{Work} of {TenantId} was not done")]
    private partial void Failed(string work, TenantId tenantId, Exception error);
}

/// <summary>The Scheduler says that time has passed.</summary>
public sealed class CloseBillingPeriodsConsumer(RunDueWork run) : IConsumer<CloseBillingPeriods>
{
    public Task Consume(ConsumeContext<CloseBillingPeriods> context) => run.Run(
        context.Message.AsOf,
        new(context.CorrelationId ?? context.ConversationId, context.MessageId, "billing/close-billing-periods"),
        context.CancellationToken);
}

internal static class DueWork
{
    extension(IServiceCollection services)
    {
        /// <summary>Every kind of recurring work, in the order in which what is due at one moment is done.</summary>
        public IServiceCollection AddDueWork() => services
            .AddSingleton<RunDueWork>()
            .AddSingleton<IDueWork, CloseDuePeriods>()
            .AddSingleton<IDueWork, InvoiceAtThreshold>()
            .AddSingleton<IDueWork, ReviewEntitlements>()
            .AddSingleton<IDueWork, CollectInvoices>()
            .AddSingleton<IDueWork, ExpireCredit>()
            .AddSingleton<IDueWork, KeepToppedUp>()
            .AddSingleton<IDueWork, SettleRefunds>();
    }
}
