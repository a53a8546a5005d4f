using MassTransit;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Scheduler;
using Platform.Scheduler.Dispatch;
using Platform.Scheduler.Fleet;
using Platform.Scheduler.Jobs;
using Platform.Scheduler.Recurring;
using Platform.Scheduler.Tenants;
using Platform.ServiceDefaults;

const string schema = "scheduler";

// `migrate` makes the tables as their owner, declares the queues and ends; without it the process runs.
var migrate = args is ["migrate", ..];
var builder = WebApplication.CreateSlimBuilder(args);
var settings = builder.Configuration;

builder.AddServiceDefaults("scheduler", SchedulerJson.Default);
builder.AddPlatformBus("scheduler", bus =>
{
    bus.AddConsumer<TenantRegisteredConsumer>();
    bus.AddConsumer<TenantSuspendedConsumer>();
    bus.AddConsumer<TenantReinstatedConsumer>();
    bus.AddConsumer<ApiKeyIssuedConsumer>();
    bus.AddConsumer<ApiKeyRevokedConsumer>();
    bus.AddConsumer<EntitlementsChangedConsumer>();
    bus.AddConsumer<WorkerRegisteredConsumer>();
    bus.AddConsumer<WorkerHeartbeatConsumer>();
    bus.AddConsumer<WorkerDrainedConsumer>();
    bus.AddConsumer<JobStartedConsumer>();
    bus.AddConsumer<JobProgressedConsumer>();
    bus.AddConsumer<JobCompletedConsumer>();
    bus.AddConsumer<JobFailedConsumer>();
    bus.AddConsumer<JobStoppedConsumer>();
});

builder.Services
    .Configure<JobOptions>(settings.GetSection("Jobs"))
    .Configure<FleetOptions>(settings.GetSection("Fleet"))
    .Configure<PlacementOptions>(settings.GetSection("Placement"));

if (!migrate)
{
    var systemConnection = Required("System");
    builder.Services
        .AddEventStore(
            new EventStoreOptions(schema, Required("Application"), systemConnection),
            SchedulerJson.Events,
            new MessageTypes(
                ContractsJson.Options, typeof(JobPlaced), typeof(ExecuteJob), typeof(CancelAttempt), typeof(CloseBillingPeriods)))
        .AddSingleton<Projection, JobViews>()
        .AddSingleton<Projection, WorkerViews>()
        .AddSingleton<Subscription, PlacementSignal>()
        .AddSingleton(_ => new SystemDatabase(systemConnection))
        .AddSingleton<FleetTables>()
        .AddSingleton<TenantDirectory>()
        .AddSingleton<IApiKeyDirectory>(services => services.GetRequiredService<TenantDirectory>())
        .AddSingleton<OpenAttempts>()
        .AddSingleton<FleetWatch>()
        .AddSingleton<PlacementCycle>()
        .AddHostedService<Leader>()
        .AddRecurringWork(systemConnection, settings.GetSection("Recurring").Get<RecurringOptions>() ?? new());
}

var app = builder.Build();

if (migrate)
{
    await Migrations.Run(
        Required("Owner"), schema, "scheduler_app", "scheduler_system", typeof(Program).Assembly, CancellationToken.None);
    await app.Services.DeployBusTopology(CancellationToken.None);
    return;
}

// Makes one view again from the events, beside the running processes.
if (args is ["rebuild", var projection])
{
    var folded = await app.Services.GetRequiredService<Rebuild>().Run(projection, CancellationToken.None);
    Console.WriteLine($"{projection}: {folded} events folded");
    return;
}

app.UseServiceDefaults();
app.MapJobs();
ListWorkers.Map(app);
await app.RunAsync();

string Required(string connection) => settings.GetConnectionString(connection)
    ?? throw new InvalidOperationException($"ConnectionStrings__{connection} is not set.");
