using MassTransit;
using Platform.Contracts;
using Platform.GpuWorker.Metering;

namespace Platform.GpuWorker.Bus;

/// <summary>MassTransit on RabbitMQ: one durable queue of this worker's own.</summary>
public static class WorkerBus
{
    public static void AddWorkerBus(this IServiceCollection services, WorkerSettings settings, WorkerIdentity identity) =>
        services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry();
            bus.AddConsumer<ExecuteJobConsumer>();
            bus.AddConsumer<CancelAttemptConsumer>();
            bus.UsingRabbitMq((context, rabbit) =>
            {
                UseHost(rabbit, settings.BusUri);
                rabbit.ConfigureJsonSerializerOptions(ContractsJson.Configure);
                rabbit.ReceiveEndpoint(Queues.Worker(settings.Pool, identity.WorkerId), endpoint =>
                {
                    // Attempts are sent to this queue by name. Bound to the message's exchange, every worker would get each.
                    endpoint.ConfigureConsumeTopology = false;
                    // A cancellation must not overtake the attempt that it cancels.
                    endpoint.ConcurrentMessageLimit = 1;
                    endpoint.ConfigureConsumer<ExecuteJobConsumer>(context);
                    endpoint.ConfigureConsumer<CancelAttemptConsumer>(context);
                });
            });
        });

    /// <summary><c>amqp://user:password@host:port/vhost</c>.</summary>
    public static void UseHost(IRabbitMqBusFactoryConfigurator rabbit, Uri uri)
    {
        var user = uri.UserInfo.Split(':', 2);
        var virtualHost = Uri.UnescapeDataString(uri.AbsolutePath.TrimStart('/'));
        rabbit.Host(uri.Host, (ushort)(uri.Port < 0 ? 5672 : uri.Port), virtualHost.Length == 0 ? "/" : virtualHost, host =>
        {
            host.Username(Uri.UnescapeDataString(user[0]));
            host.Password(Uri.UnescapeDataString(user.ElementAtOrDefault(1) ?? ""));
        });
    }
}
