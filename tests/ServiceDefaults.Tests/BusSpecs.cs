using System.Text;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using NodaTime;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.Testing;

namespace Platform.ServiceDefaults.Tests;

public sealed class BusSpecs : IAsyncLifetime
{
    private static readonly TenantId Tenant = TenantId.From(Guid.Parse("019a0000-0000-7000-8000-000000000001"));
    private static readonly CloseBillingPeriods Message = new(Instant.FromUtc(2026, 11, 1, 0, 0));

    private TestBroker broker = null!;

    public async ValueTask InitializeAsync() => broker = await TestBroker.Create();

    public ValueTask DisposeAsync() => broker.DisposeAsync();

    [Fact]
    public async Task A_message_published_before_its_consumer_first_starts_is_not_lost()
    {
        using (var deployer = Host(out _))
            await deployer.Services.DeployBusTopology(TestContext.Current.CancellationToken);

        var sent = new OutboxMessage(Guid.CreateVersion7(), Tenant.Value, Queue: null, Message, null, null);
        using (var sender = await Started(Host(out _, consumes: false)))
            await Publish(sender, sent);

        using var host = await Started(Host(out var received));
        var context = await received.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        context.Message.ShouldBe(Message);
        context.MessageId.ShouldBe(sent.MessageId);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Message_bodies_are_snake_case_inside_the_bus_standard_envelope()
    {
        using (var deployer = Host(out _))
            await deployer.Services.DeployBusTopology(TestContext.Current.CancellationToken);
        using var host = await Started(Host(out var received));
        await Publish(host, new(Guid.CreateVersion7(), Tenant.Value, Queue: null, Message, null, null));
        var context = await received.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        var envelope = JsonDocument.Parse(Encoding.UTF8.GetString(context.ReceiveContext.GetBody())).RootElement;
        envelope.GetProperty("message").GetProperty("as_of").GetString().ShouldBe("2026-11-01T00:00:00Z");
        envelope.GetProperty("messageId").GetGuid().ShouldBe(context.MessageId!.Value);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private static Task Publish(IHost host, OutboxMessage message) =>
        host.Services.GetRequiredService<IMessagePublisher>().Publish([message], TestContext.Current.CancellationToken);

    private static async Task<IHost> Started(IHost host)
    {
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    private IHost Host(out TaskCompletionSource<ConsumeContext<CloseBillingPeriods>> received, bool consumes = true)
    {
        var source = received = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = Microsoft.Extensions.Hosting.Host.CreateApplicationBuilder();
        builder.Configuration["Bus:Uri"] = broker.Uri.ToString();
        builder.AddPlatformBus("test", bus =>
        {
            if (consumes)
                bus.AddConsumer<Probe>();
        });
        builder.Services.AddSingleton(source);
        return builder.Build();
    }

    public sealed class Probe(TaskCompletionSource<ConsumeContext<CloseBillingPeriods>> received) : IConsumer<CloseBillingPeriods>
    {
        public Task Consume(ConsumeContext<CloseBillingPeriods> context)
        {
            received.TrySetResult(context);
            return Task.CompletedTask;
        }
    }
}
