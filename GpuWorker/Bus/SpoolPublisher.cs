using System.Text.Json;
using MassTransit;

namespace Platform.GpuWorker.Bus;

/// <summary>
/// Publishes the spool, oldest first, one message at a time, and forgets each only when the broker has confirmed it. A
/// message that may have arrived before the connection broke is sent again under the same id.
/// </summary>
public sealed partial class SpoolPublisher(Spool spool, IBus bus, TimeProvider time, ILogger<SpoolPublisher> logger)
    : BackgroundService
{
    private static readonly TimeSpan publishTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan retryDelay = TimeSpan.FromMilliseconds(500);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var change = spool.Changed;
            if (spool.Oldest is { } entry)
                await Send(entry, stoppingToken);
            else
                await change.WaitAsync(stoppingToken);
        }
    }

    private async Task Send(SpoolEntry entry, CancellationToken stopping)
    {
        try
        {
            var message = Spool.Read(entry);
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            timeout.CancelAfter(publishTimeout);
            await bus.Publish(message, message.GetType(), Pipe.Execute<PublishContext>(context => context.MessageId = entry.MessageId), timeout.Token)
                .WaitAsync(timeout.Token);
            spool.Remove(entry);
        }
        catch (JsonException error)
        {
            Unreadable(error, spool.SetAside(entry));
        }
        catch (Exception error) when (!stopping.IsCancellationRequested)
        {
            NotSent(entry.MessageId, spool.Count, error.GetType().Name);
            await Task.Delay(retryDelay, time, stopping);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Message {MessageId} was not confirmed ({Error}); {Waiting} wait.")]
    private partial void NotSent(Guid messageId, int waiting, string error);

    [LoggerMessage(Level = LogLevel.Error, Message = "A spooled message cannot be read and was put aside as {File}.")]
    private partial void Unreadable(Exception error, string file);
}
