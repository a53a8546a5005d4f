using NodaTime.Extensions;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Quartz;

namespace Platform.Scheduler.Recurring;

/// <summary>Settings under <c>Recurring</c>.</summary>
public sealed class RecurringOptions
{
    /// <summary>Quartz cron: seconds, minutes, hours, day of month, month, day of week.</summary>
    public string CloseBillingPeriodsCron { get; set; } = "0 * * * * ?";

    /// <summary>How often an instance tells the others that it lives; recovery of its work begins a few of these later.</summary>
    public TimeSpan CheckinInterval { get; set; } = TimeSpan.FromSeconds(2);
}

/// <summary>Tells Billing that time has passed. Billing knows which periods that ends.</summary>
[DisallowConcurrentExecution]
public sealed class CloseBillingPeriodsJob(EventStore.EventStore store) : IJob
{
    public async ValueTask Execute(IJobExecutionContext context, CancellationToken cancellationToken = default)
    {
        // The planned time and not the clock: a firing that is recovered after a crash says the same thing again.
        var asOf = (context.ScheduledFireTimeUtc ?? context.FireTimeUtc).ToInstant();
        await store.Transact(
            TenantId.Operator.Value,
            new Cause(CorrelationId: null, CausationId: null, Actor: "scheduler/close_billing_periods"),
            (transaction, _) =>
            {
                transaction.Publish(new CloseBillingPeriods(asOf));
                return Task.FromResult(true);
            },
            cancellationToken);
    }
}

/// <summary>Quartz on PostgreSQL, clustered: schedules survive restarts and each firing runs on one instance.</summary>
public static class RecurringWork
{
    extension(IServiceCollection services)
    {
        /// <param name="systemConnection">Connects as the role that may read and write the <c>quartz</c> schema.</param>
        public IServiceCollection AddRecurringWork(string systemConnection, RecurringOptions options)
        {
            services.AddQuartz(quartz =>
            {
                quartz.ConfigureScheduler(scheduler =>
                {
                    scheduler.InstanceName = "platform";
                    scheduler.GenerateInstanceId = true;
                });
                quartz.UsePersistentStore(store =>
                {
                    store.UsePostgres(systemConnection);
                    store.UseClustering(cluster => cluster.CheckinInterval = options.CheckinInterval);
                    store.ConfigureStore(ado =>
                    {
                        ado.TablePrefix = "quartz.qrtz_";
                        ado.StoreJobDataAsStrings = true;
                        ado.SchemaProvisioning = SchemaProvisioning.Validate;   // tables are made by migrations, never here
                    });
                });
                quartz.ScheduleJob<CloseBillingPeriodsJob>(
                    trigger => trigger
                        .WithIdentity("close_billing_periods")
                        .WithSchedule(CronScheduleBuilder.Create(options.CloseBillingPeriodsCron)
                            .InTimeZone(TimeZoneInfo.Utc)
                            // After an outage once is enough: closing as of now includes everything missed.
                            .WithMisfireInstruction(CronTriggerMisfireInstruction.FireAndProceed)),
                    job => job.WithIdentity("close_billing_periods").RequestRecovery());
            });
            services.AddQuartzHostedService(hosted => hosted.WaitForJobsToComplete = true);
            return services;
        }
    }
}
