using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.ServiceDefaults;

/// <summary>RabbitMQ by MassTransit, the same in every web process.</summary>
public static class Bus
{
    extension(IHostApplicationBuilder builder)
    {
        /// <summary>
        /// Connects to <c>Bus:Uri</c> (<c>amqp://user:password@host:port/vhost</c>) and relays the outbox to it.
        /// </summary>
        /// <param name="prefix">Begins the names of this process's queues: two processes may consume one message type.</param>
        /// <param name="consumers">Adds the consumers; each gets a durable queue named after it.</param>
        public IHostApplicationBuilder AddPlatformBus(string prefix, Action<IBusRegistrationConfigurator> consumers)
        {
            var uri = new Uri(builder.Configuration["Bus:Uri"]
                ?? throw new InvalidOperationException("Bus__Uri is not set: amqp://user:password@host:port/vhost."));

            builder.Services.AddSingleton<IMessagePublisher, OutboxPublisher>();
            builder.Services.AddMassTransit(bus =>
            {
                bus.DisableUsageTelemetry();    // the library would report to its maker over the internet
                bus.SetEndpointNameFormatter(new KebabCaseEndpointNameFormatter(prefix, includeNamespace: false));
                consumers(bus);
                bus.UsingRabbitMq((context, rabbit) =>
                {
                    rabbit.Host(uri);
                    rabbit.ConfigureJsonSerializerOptions(ContractsJson.Configure);
                    rabbit.PrefetchCount = 64;
                    rabbit.UseMessageRetry(RetryWhileStorageIsAway);
                    rabbit.UseMessageRetry(RetryBriefly);
                    rabbit.ConfigureEndpoints(context);
                });
            });
            // Starting must not wait for the broker: readiness says whether it is there, and the bus connects when it comes.
            builder.Services.Configure<MassTransitHostOptions>(host =>
            {
                host.WaitUntilStarted = false;
                host.StopTimeout = TimeSpan.FromSeconds(20);
            });
            return builder;
        }
    }

    extension(IServiceProvider services)
    {
        /// <summary>
        /// Declares this process's queues and bindings and returns. Run before any process publishes: a broker drops what no
        /// queue is bound for.
        /// </summary>
        public async Task DeployBusTopology(CancellationToken cancellation)
        {
            var bus = services.GetRequiredService<IBusControl>();
            await bus.DeployAsync(cancellation);
        }
    }

    // A database that restarts is no reason to park a message: it stays unacknowledged until its effects can be stored.
    private static void RetryWhileStorageIsAway(IRetryConfigurator retry)
    {
        retry.Handle<NpgsqlException>(error => error.IsTransient);
        retry.Handle<TimeoutException>();
        retry.Exponential(int.MaxValue, TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(300));
    }

    // Anything else gets a few more chances (a message may overtake the one it builds on) and then waits in the error queue.
    private static void RetryBriefly(IRetryConfigurator retry)
    {
        retry.Ignore<NpgsqlException>(error => error.IsTransient);
        retry.Ignore<TimeoutException>();
        retry.Exponential(8, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(200));
    }
}

/// <summary>Hands outbox messages to RabbitMQ and waits for its confirms.</summary>
internal sealed class OutboxPublisher(IBus bus) : IMessagePublisher
{
    public Task Publish(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation) =>
        // Order matters within a tenant only; tenants need not wait for one another's confirms.
        Task.WhenAll(messages.GroupBy(message => message.TenantId).Select(async tenant =>
        {
            foreach (var message in tenant)
                await Deliver(message, cancellation);
        }));

    private async Task Deliver(OutboxMessage message, CancellationToken cancellation)
    {
        var pipe = Pipe.Execute<SendContext>(context =>
        {
            context.MessageId = message.MessageId;
            context.CorrelationId = message.CorrelationId;
            context.InitiatorId = message.CausationId;
        });

        if (message.Queue is { } queue)
        {
            var endpoint = await bus.GetSendEndpoint(new Uri($"queue:{queue}"));
            await endpoint.Send(message.Body, message.Body.GetType(), pipe, cancellation);
        }
        else
        {
            await bus.Publish(message.Body, message.Body.GetType(), pipe, cancellation);
        }
    }
}

/// <summary>
/// A consumer whose effects and whose memory of the message commit together: a redelivered message has no second effect.
/// </summary>
public abstract class InboxConsumer<TMessage>(EventStore.EventStore store) : IConsumer<TMessage> where TMessage : class
{
    /// <summary>The tenant whose lane and rows the message concerns.</summary>
    protected abstract TenantId TenantOf(TMessage message);

    /// <summary>Runs once per message, in its transaction; may run again after a rollback.</summary>
    protected abstract Task Handle(TMessage message, EventTransaction transaction, CancellationToken cancellation);

    public Task Consume(ConsumeContext<TMessage> context)
    {
        var messageId = context.MessageId
            ?? throw new InvalidOperationException("A message without an id cannot be recognised when it comes again.");
        var cause = new Cause(context.CorrelationId ?? context.ConversationId, messageId, GetType().Name);

        return store.Transact(
            TenantOf(context.Message).Value,
            cause,
            async (transaction, cancellation) =>
            {
                if (await transaction.TryReceive(GetType().Name, messageId, cancellation))
                    await Handle(context.Message, transaction, cancellation);
                return true;
            },
            context.CancellationToken);
    }
}
