using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Platform.GpuWorker.Tests.Support;

/// <summary>Stands between a worker and the broker, so that a test can cut the line without stopping the broker.</summary>
internal sealed class TcpRelay : IAsyncDisposable
{
    private readonly Uri target;
    private readonly ConcurrentBag<TcpClient> open = [];
    private TcpListener listener;
    private Task accepting;

    private TcpRelay(Uri target)
    {
        this.target = target;
        listener = new(IPAddress.Loopback, port: 0);
        listener.Start();
        Uri = new UriBuilder(target) { Host = "127.0.0.1", Port = ((IPEndPoint)listener.LocalEndpoint).Port }.Uri;
        accepting = Accept(listener);
    }

    public Uri Uri { get; }

    public static TcpRelay To(Uri target) => new(target);

    /// <summary>Breaks every connection and refuses new ones.</summary>
    public async Task Cut()
    {
        listener.Stop();
        await accepting;
        while (open.TryTake(out var client))
            client.Dispose();
    }

    public void Restore()
    {
        listener = new(IPAddress.Loopback, Uri.Port);
        listener.Start();
        accepting = Accept(listener);
    }

    public async ValueTask DisposeAsync() => await Cut();

    private async Task Accept(TcpListener from)
    {
        try
        {
            while (true)
            {
                var near = await from.AcceptTcpClientAsync();
                var far = new TcpClient();
                open.Add(near);
                open.Add(far);
                await far.ConnectAsync(target.Host, target.Port);
                _ = Copy(near, far);
                _ = Copy(far, near);
            }
        }
        catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // Cut ends the listener; that is how accepting ends.
        }
    }

    private static async Task Copy(TcpClient from, TcpClient to)
    {
        try
        {
            await from.GetStream().CopyToAsync(to.GetStream());
        }
        catch (Exception broken) when (broken is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The other side sees the end by the connection that is closed below.
        }
        finally
        {
            to.Close();
        }
    }
}
