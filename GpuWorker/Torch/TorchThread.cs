using System.Collections.Concurrent;

namespace Platform.GpuWorker.Torch;

/// <summary>
/// The one long-lived thread that an engine's libtorch calls run on. Grad mode and error messages belong to a thread, and
/// every thread that runs operators gets a pool of OpenMP threads of its own, so borrowing pool threads would both leak
/// modes and multiply pools. Work runs in the order it was posted; long work posts its continuation, so that several
/// attempts take turns.
/// </summary>
public sealed class TorchThread : IDisposable
{
    private readonly BlockingCollection<Action> work = [];
    private readonly Thread thread;

    /// <param name="cpuThreads">Threads inside one operator; a setting of the process, the last one counts.</param>
    /// <exception cref="TorchUnavailableException">The bridge cannot be loaded.</exception>
    public TorchThread(int cpuThreads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(cpuThreads, 1);
        TorchLibrary.EnsureLoaded();
        thread = new(Work) { Name = "torch", IsBackground = true };
        thread.Start();
        Run(() =>
        {
            Native.Check(Native.SetNumThreads(cpuThreads));
            Native.Check(Native.SetDeterministic(on: 1));
            return true;
        }).GetAwaiter().GetResult();
    }

    /// <summary>Threads inside one operator, as libtorch says on the calling thread.</summary>
    public static int CpuThreads()
    {
        Native.Check(Native.GetNumThreads(out var threads));
        return threads;
    }

    /// <summary>Queues work that handles its own errors; false when the thread is closing.</summary>
    public bool Post(Action action)
    {
        try
        {
            work.Add(action);
            return true;
        }
        catch (Exception closed) when (closed is InvalidOperationException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Runs work and hands back its result or its exception. The work must not await.</summary>
    public Task<T> Run<T>(Func<T> function)
    {
        var result = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var posted = Post(() =>
        {
            try
            {
                result.SetResult(function());
            }
            catch (Exception error)
            {
                result.SetException(error);
            }
        });
        return posted ? result.Task : throw new ObjectDisposedException(nameof(TorchThread));
    }

    public Task Run(Action action) => Run(() =>
    {
        action();
        return true;
    });

    /// <summary>Finishes what is queued and ends the thread.</summary>
    public void Dispose()
    {
        if (work.IsAddingCompleted)
            return;
        work.CompleteAdding();
        thread.Join();
        work.Dispose();
    }

    private void Work()
    {
        foreach (var action in work.GetConsumingEnumerable())
            action();
    }
}
