using System.Collections.Concurrent;
using System.Threading.Channels;
using MassTransit;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.Scheduler.Tests.Running;

/// <summary>The other processes' side of the broker: publishes what they would, and hears what the Scheduler publishes.</summary>
public sealed class TestBus : IAsyncDisposable
{
    private readonly IBusControl bus;

    private TestBus(Uri uri)
    {
        bus = MassTransit.Bus.Factory.CreateUsingRabbitMq(rabbit =>
        {
            rabbit.Host(uri);
            rabbit.ConfigureJsonSerializerOptions(ContractsJson.Configure);
            rabbit.ReceiveEndpoint("test-billing", endpoint =>
            {
                endpoint.Handler<JobPlaced>(context => Keep(JobsPlaced, context.Message));
                endpoint.Handler<CloseBillingPeriods>(context => Keep(PeriodsClosed, context.Message));
            });
        });
        Uri = uri;
    }

    public Uri Uri { get; }
    public ConcurrentQueue<JobPlaced> JobsPlaced { get; } = [];
    public ConcurrentQueue<CloseBillingPeriods> PeriodsClosed { get; } = [];

    public static async Task<TestBus> Start(Uri uri)
    {
        var test = new TestBus(uri);
        await test.bus.StartAsync();
        return test;
    }

    public Task Publish<T>(T message, Guid? messageId = null) where T : class => bus.Publish(
        message, Pipe.Execute<PublishContext<T>>(context => context.MessageId = messageId ?? Guid.CreateVersion7()));

    public async ValueTask DisposeAsync() => await bus.StopAsync();

    private static Task Keep<T>(ConcurrentQueue<T> kept, T message)
    {
        kept.Enqueue(message);
        return Task.CompletedTask;
    }
}

/// <summary>
/// A worker that does as it is told: registers, beats and reports when the test says so. Its device has a flavor of its own,
/// so that tests of one world do not take each other's jobs.
/// </summary>
public sealed class ScriptedWorker : IAsyncDisposable
{
    private readonly TestBus bus;
    private readonly IBusControl queue;
    private readonly Channel<ExecuteJob> orders = Channel.CreateUnbounded<ExecuteJob>();
    private readonly Channel<CancelAttempt> cancellations = Channel.CreateUnbounded<CancelAttempt>();
    private readonly ConcurrentDictionary<AttemptId, bool> running = [];
    private CancellationTokenSource? heart;
    private Task beating = Task.CompletedTask;

    private ScriptedWorker(TestBus bus, string flavor)
    {
        this.bus = bus;
        Flavor = flavor;
        queue = Bus.Factory.CreateUsingRabbitMq(rabbit =>
        {
            rabbit.Host(bus.Uri);
            rabbit.ConfigureJsonSerializerOptions(ContractsJson.Configure);
            rabbit.ReceiveEndpoint(Queues.Worker(Pool, Id), endpoint =>
            {
                endpoint.ConfigureConsumeTopology = false;
                endpoint.Handler<ExecuteJob>(async context => await orders.Writer.WriteAsync(context.Message));
                endpoint.Handler<CancelAttempt>(async context => await cancellations.Writer.WriteAsync(context.Message));
            });
        });
    }

    public WorkerId Id { get; } = WorkerId.New();
    public string Pool { get; } = "on-demand";
    public string Flavor { get; }
    public WorkerSessionId Session { get; private set; }

    /// <param name="like">Another worker whose jobs this one can run too.</param>
    public static async Task<ScriptedWorker> Start(SchedulerWorld world, ScriptedWorker? like = null)
    {
        var worker = new ScriptedWorker(world.Bus, like?.Flavor ?? $"cpu-{Guid.CreateVersion7():n}");
        await worker.queue.StartAsync();
        await worker.Register();
        await Eventually.True(() => world.Scheduler.Knows(worker.Id));
        return worker;
    }

    /// <summary>A process of the worker starts: a new session, which beats.</summary>
    public async Task Register()
    {
        await Silence();
        running.Clear();
        Session = WorkerSessionId.New();
        await bus.Publish(new WorkerRegistered(
            Id, Session, "scripted", Pool, [new(0, Flavor, MemoryBytes: 1_000_000_000)], "MFkw", Clock.Now));
        Beat();
    }

    public void Beat()
    {
        heart = new CancellationTokenSource();
        beating = BeatUntil(heart.Token);
    }

    /// <summary>The worker stops beating, as one whose machine is gone.</summary>
    public async Task Silence()
    {
        if (heart is not null)
            await heart.CancelAsync();
        await beating;
        heart?.Dispose();
        heart = null;
    }

    public async Task<ExecuteJob> TakeOrder()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var order = await orders.Reader.ReadAsync(patience.Token);
        running[order.AttemptId] = true;
        return order;
    }

    public bool HasOrder => orders.Reader.TryPeek(out _);

    public async Task<CancelAttempt> TakeCancellation()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        return await cancellations.Reader.ReadAsync(patience.Token);
    }

    /// <summary>The worker drops an attempt without a word.</summary>
    public void Forget(AttemptId attempt) => running.TryRemove(attempt, out _);

    public Task Started(ExecuteJob order) =>
        bus.Publish(new JobStarted(order.JobId, order.AttemptId, order.TenantId, Id, Clock.Now));

    public Task Progressed(ExecuteJob order, decimal fraction, long? step = null) => bus.Publish(new JobProgressed(
        order.JobId, order.AttemptId, order.TenantId, Id, fraction, $"epoch {fraction}",
        step is { } at ? new Checkpoint($"file:///checkpoints/{at}", at) : null, Clock.Now));

    public Task Completed(ExecuteJob order, Guid? messageId = null)
    {
        running.TryRemove(order.AttemptId, out _);
        return bus.Publish(
            new JobCompleted(
                order.JobId, order.AttemptId, order.TenantId, Id, $"file:///models/{order.JobId}",
                new Dictionary<string, decimal> { ["test_accuracy"] = 0.875m }, Clock.Now),
            messageId);
    }

    public Task Failed(ExecuteJob order, bool retryable, Guid? messageId = null)
    {
        running.TryRemove(order.AttemptId, out _);
        return bus.Publish(
            new JobFailed(order.JobId, order.AttemptId, order.TenantId, Id, "worker.fault", "broken", retryable, Clock.Now), messageId);
    }

    public Task Stopped(ExecuteJob order, bool handedBack, long? step = null)
    {
        running.TryRemove(order.AttemptId, out _);
        return bus.Publish(new JobStopped(
            order.JobId, order.AttemptId, order.TenantId, Id, handedBack,
            step is { } at ? new Checkpoint($"file:///checkpoints/{at}", at) : null, Clock.Now));
    }

    public Task Drained() => bus.Publish(new WorkerDrained(Id, Session, Clock.Now));

    public async ValueTask DisposeAsync()
    {
        await Silence();
        await queue.StopAsync();
    }

    private async Task BeatUntil(CancellationToken silence)
    {
        while (!silence.IsCancellationRequested)
        {
            await bus.Publish(new WorkerHeartbeat(Id, Session, [.. running.Keys], Clock.Now));
            await Task.Delay(TimeSpan.FromSeconds(0.2), TimeProvider.System, silence)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
