using MassTransit;
using Platform.Contracts;
using Platform.GpuWorker;
using Platform.GpuWorker.Attempts;
using Platform.GpuWorker.Bus;
using Platform.GpuWorker.Jobs;
using Platform.GpuWorker.Metering;
using Platform.GpuWorker.Torch;

WorkerSettings settings;
WorkerIdentity identity;
TorchThread torch;
Spool spool;
var builder = WebApplication.CreateSlimBuilder(args);
try
{
    settings = WorkerSettings.From(builder.Configuration);
    torch = new(settings.CpuThreads);
    identity = WorkerIdentity.Open(settings.DataDirectory);
    spool = new(Path.Combine(settings.DataDirectory, "spool"), TimeProvider.System);
}
catch (Exception error) when (error is TorchUnavailableException or InvalidOperationException or IOException
    or InvalidDataException or UnauthorizedAccessException)
{
    // A worker that cannot run jobs must not register for them.
    await Console.Error.WriteLineAsync($"The worker cannot start: {error.Message}");
    return 1;
}

builder.Logging.AddJsonConsole(console => console.UseUtcTimestamp = true);
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(30));
builder.Services
    .AddSingleton(settings)
    .AddSingleton(identity)
    .AddSingleton(torch)
    .AddSingleton(TimeProvider.System)
    .AddSingleton(WorkerDevices.Find())
    .AddSingleton(EnergyMeter.ForCpu(settings.CpuWatts))
    .AddSingleton(new ArtifactStore(settings.ArtifactsRoot))
    .AddSingleton(new Datasets(settings.DatasetsRoot))
    .AddSingleton(spool)
    .AddSingleton(new Lease(settings.LeaseTimeout, TimeProvider.System))
    .AddSingleton<AttemptServices>()
    .AddSingleton<AttemptTable>()
    .AddSingleton<Membership>();
builder.Services.AddWorkerBus(settings, identity);

// Hosted services stop in the opposite order: hand back and flush, say goodbye, stop publishing, close the bus.
builder.Services
    .AddHostedService<SpoolPublisher>()
    .AddHostedService(services => services.GetRequiredService<Membership>())
    .AddHostedService<GracefulStop>();

var app = builder.Build();
Telemetry.ExportIfConfigured(app.Configuration, app.Lifetime);
app.MapGet("/health/live", () => Results.Text("live"));
app.MapGet("/health/ready", (Membership membership) =>
    membership.IsReady ? Results.Text("ready") : Results.Text("not registered", statusCode: StatusCodes.Status503ServiceUnavailable));
await app.RunAsync();
torch.Dispose();
return Environment.ExitCode;
