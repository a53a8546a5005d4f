using MassTransit;
using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Invoices;

/// <summary>
/// Closes every period whose end has come, of all tenants. Any number may run at once and any number of times: a period is
/// closed once. One tenant's failure does not keep the others from their invoices; the message is retried for those that failed.
/// </summary>
public sealed partial class CloseBillingPeriodsRun(
    BillingDatabase database, InvoicePeriod invoices, TimeProvider clock, ILogger<CloseBillingPeriodsRun> logger)
{
    private const int PageSize = 200;

    /// <returns>How many invoices this run made.</returns>
    /// <exception cref="AggregateException">Some periods could not be closed; all others were.</exception>
    public async Task<int> Close(Instant endedBy, Cause cause, CancellationToken cancellation)
    {
        // A sender whose clock is ahead cannot end a period before its time: its usage is still to come.
        var asOf = Instant.Min(endedBy, clock.Now());
        var (made, failures) = (0, new List<Exception>());

        for (DuePeriod? last = null; ;)
        {
            var page = await BillingPeriodRows.Due(database, asOf, last, PageSize, cancellation);
            foreach (var due in page)
            {
                try
                {
                    made += await invoices.CloseEnded(due.TenantId, due.SubscriptionId, asOf, cause, cancellation);
                }
                catch (Exception error) when (error is not OperationCanceledException)
                {
                    Failed(due.TenantId, due.SubscriptionId, error);
                    failures.Add(error);
                }
            }

            if (page.Count < PageSize)
                break;
            last = page[^1];
        }

        return failures.Count == 0 ? made : throw new AggregateException("Some billing periods were not closed.", failures);
    }

    [LoggerMessage(EventId = 10, Level = LogLevel.Error, Message = "A billing period of {TenantId} {SubscriptionId} was not closed")]
    private partial void Failed(TenantId tenantId, SubscriptionId subscriptionId, Exception error);
}

public sealed class CloseBillingPeriodsConsumer(CloseBillingPeriodsRun run) : IConsumer<CloseBillingPeriods>
{
    public Task Consume(ConsumeContext<CloseBillingPeriods> context) => run.Close(
        context.Message.AsOf,
        new(context.CorrelationId ?? context.ConversationId, context.MessageId, "billing/close-billing-periods"),
        context.CancellationToken);
}
