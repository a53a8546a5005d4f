using System.Diagnostics;
using System.Diagnostics.Metrics;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Platform.Contracts.Messages;

namespace Platform.GpuWorker;

/// <summary>Metrics and traces, sent only where <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set.</summary>
internal static class Telemetry
{
    private const string Name = "Platform.GpuWorker";
    private static readonly Meter meter = new(Name);
    private static readonly Counter<long> attempts = meter.CreateCounter<long>("gpu_worker.attempts", description: "Attempts that ended.");

    private static readonly ActivitySource activities = new(Name);

    /// <summary>A span that lasts as long as the attempt; null where nobody listens.</summary>
    public static Activity? StartAttempt(ExecuteJob job)
    {
        var activity = activities.StartActivity("attempt", ActivityKind.Consumer);
        activity?.SetTag("job.id", job.JobId.ToString());
        activity?.SetTag("attempt.id", job.AttemptId.ToString());
        activity?.SetTag("attempt.number", job.AttemptNumber);
        return activity;
    }

    public static void AttemptEnded(Activity? activity, string how)
    {
        attempts.Add(1, new KeyValuePair<string, object?>("how", how));
        activity?.SetTag("attempt.end", how);
        activity?.Dispose();
    }

    /// <summary>Starts the exporters; they end with the process.</summary>
    public static void ExportIfConfigured(IConfiguration configuration, IHostApplicationLifetime lifetime)
    {
        if (configuration["OTEL_EXPORTER_OTLP_ENDPOINT"] is not { Length: > 0 })
            return;

        var resource = ResourceBuilder.CreateDefault().AddService(Name);
        var traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource).AddSource(Name, "MassTransit").AddOtlpExporter().Build();
        var metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource).AddMeter(Name, "MassTransit").AddOtlpExporter().Build();
        lifetime.ApplicationStopped.Register(() =>
        {
            traces.Dispose();
            metrics.Dispose();
        });
    }
}
