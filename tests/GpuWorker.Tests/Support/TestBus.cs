using System.Collections.Concurrent;
using System.Text;
using MassTransit;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Bus;

namespace Platform.GpuWorker.Tests.Support;

/// <summary>A message as it arrived.</summary>
internal sealed record Arrived(object Message, Guid MessageId, string Body);

/// <summary>Plays Scheduler and Billing on a real broker: keeps what workers publish, in order, and sends them attempts.</summary>
internal sealed class TestBus : IAsyncDisposable
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly ConcurrentQueue<Arrived> arrived = new();
    private readonly IBusControl bus;

    private TestBus(Uri broker)
    {
        bus = MassTransit.Bus.Factory.CreateUsingRabbitMq(rabbit =>
        {
            WorkerBus.UseHost(rabbit, broker);
            rabbit.ConfigureJsonSerializerOptions(ContractsJson.Configure);
            rabbit.ReceiveEndpoint("observer", endpoint =>
            {
                endpoint.ConcurrentMessageLimit = 1;
                endpoint.PrefetchCount = 1; // keeps the order of arrival
                Keep<WorkerRegistered>(endpoint);
                Keep<WorkerDrained>(endpoint);
                Keep<JobStarted>(endpoint);
                Keep<JobProgressed>(endpoint);
                Keep<JobCompleted>(endpoint);
                Keep<JobFailed>(endpoint);
                Keep<JobStopped>(endpoint);
                Keep<UsageReported>(endpoint);
            });
            rabbit.ReceiveEndpoint("heartbeats", Keep<WorkerHeartbeat>);
        });
    }

    public IReadOnlyList<Arrived> All => [.. arrived];

    public static async Task<TestBus> Start(Uri broker)
    {
        var test = new TestBus(broker);
        await test.bus.StartAsync(TestContext.Current.CancellationToken);
        return test;
    }

    public IReadOnlyList<T> Of<T>() => [.. arrived.Select(message => message.Message).OfType<T>()];

    public async Task Send<T>(WorkerRegistered worker, T message) where T : class
    {
        var endpoint = await bus.GetSendEndpoint(new($"queue:{Queues.Worker(worker.Pool, worker.WorkerId)}"));
        await endpoint.Send(message, TestContext.Current.CancellationToken);
    }

    /// <summary>The first such message, also one that arrived before the call.</summary>
    public async Task<T> WaitFor<T>(Func<T, bool>? condition = null)
    {
        var deadline = TimeProvider.System.GetTimestamp();
        while (true)
        {
            if (Of<T>().Where(condition ?? (_ => true)).Take(1).ToList() is [var found])
                return found;
            if (TimeProvider.System.GetElapsedTime(deadline) > patience)
                throw new TimeoutException($"No {typeof(T).Name} arrived; there are {string.Join(", ", All.Select(one => one.Message).Where(one => one is not WorkerHeartbeat).Select(one => one.GetType().Name))}.");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    public async ValueTask DisposeAsync() => await bus.StopAsync(CancellationToken.None);

    private void Keep<T>(IRabbitMqReceiveEndpointConfigurator endpoint) where T : class =>
        endpoint.Handler<T>(context =>
        {
            arrived.Enqueue(new(context.Message, context.MessageId!.Value, Encoding.UTF8.GetString(context.ReceiveContext.Body.GetBytes())));
            return Task.CompletedTask;
        });
}
