using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Platform.GpuWorker;

/// <summary>Metrics and traces, sent only where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set.</summary>
internal static class Telemetry
{
    private const string Name = "Platform.GpuWorker";
    private static readonly Meter meter = new(Name);
    private static readonly Counter<long> attempts = meter.CreateCounter<long>("gpu_worker.attempts", description: "Attempts that ended.");

    public static void AttemptEnded(string how) => attempts.Add(1, new KeyValuePair<string, object?>("how", how));

    /// <summary>Starts the exporters; they end with the process.</summary>
    public static void ExportIfConfigured(IConfiguration configuration, IHostApplicationLifetime lifetime)
    {
        if (configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is not { Length: > 0 })
            return;

        var resource = ResourceBuilder.CreateDefault().AddService(Name);
        var traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource).AddSource("MassTransit").AddOtlpExporter().Build();
        var metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource).AddMeter(Name, "MassTransit").AddOtlpExporter().Build();
        lifetime.ApplicationStopped.Register(() =>
        {
            traces.Dispose();
            metrics.Dispose();
        });
    }
}
