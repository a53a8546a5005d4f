using System.Globalization;
using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.GpuWorker.Bus;

/// <summary>A message that waits to be published.</summary>
/// <param name="MessageId">Stays the same however often it is sent, so that receivers take it once.</param>
public sealed record SpoolEntry(long Sequence, Guid MessageId, string Path);

/// <summary>
/// Messages that must not be lost, as files in the order in which they were added. <see cref="Add"/> returns when the
/// message would survive a power cut; a message leaves the folder only after the broker confirmed it. Safe for many
/// threads; one process owns the folder.
/// </summary>
public sealed class Spool
{
    private const string Extension = ".json";

    private static readonly Dictionary<string, Type> types = new[]
    {
        typeof(JobStarted), typeof(JobProgressed), typeof(JobCompleted), typeof(JobFailed), typeof(JobStopped),
        typeof(UsageReported),
    }.ToDictionary(type => type.Name);

    private readonly string folder;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly Queue<SpoolEntry> waiting = new();
    private TaskCompletionSource changed = NewSignal();
    private long last;

    /// <summary>Takes over what an earlier process left.</summary>
    /// <exception cref="InvalidDataException">The folder holds a file that no spool has written.</exception>
    public Spool(string folder, TimeProvider time)
    {
        this.folder = folder;
        this.time = time;
        Directory.CreateDirectory(folder);
        foreach (var unfinished in Directory.GetFiles(folder, "*.tmp"))
            File.Delete(unfinished);
        foreach (var entry in Directory.GetFiles(folder, $"*{Extension}").Select(Parse).OrderBy(entry => entry.Sequence))
        {
            waiting.Enqueue(entry);
            last = entry.Sequence;
        }
    }

    public int Count
    {
        get
        {
            lock (gate)
                return waiting.Count;
        }
    }

    /// <exception cref="IOException">The message is not safe: whoever made it must not go on as if it were.</exception>
    public SpoolEntry Add<T>(T message) where T : notnull
    {
        var type = typeof(T).Name;
        if (!types.ContainsKey(type))
            throw new ArgumentException($"{type} is no message that a worker spools.", nameof(message));

        // Two threads must not write at once: the order of the files is the order of the calls.
        lock (gate)
        {
            var id = Guid.CreateVersion7(time.GetUtcNow());
            var path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{last + 1:D19}-{type}-{id:n}{Extension}"));
            Durable.Write(path, stream => JsonSerializer.Serialize(stream, message, ContractsJson.Options));
            last++;
            var entry = new SpoolEntry(last, id, path);
            waiting.Enqueue(entry);
            Signal();
            return entry;
        }
    }

    /// <summary>The oldest message, null where there is none.</summary>
    public SpoolEntry? Oldest
    {
        get
        {
            lock (gate)
                return waiting.TryPeek(out var entry) ? entry : null;
        }
    }

    /// <exception cref="JsonException">The file does not hold a message of its type.</exception>
    public static object Read(SpoolEntry entry)
    {
        using var stream = File.OpenRead(entry.Path);
        return JsonSerializer.Deserialize(stream, TypeOf(entry), ContractsJson.Options)
            ?? throw new JsonException("The file holds no message.");
    }

    /// <summary>The broker has the oldest message: it leaves the spool.</summary>
    public void Remove(SpoolEntry entry)
    {
        lock (gate)
        {
            if (!waiting.TryPeek(out var oldest) || oldest != entry)
                throw new InvalidOperationException("Only the oldest message of a spool can be removed.");

            File.Delete(entry.Path);
            waiting.Dequeue();
            Signal();
        }
    }

    /// <summary>Puts a message that cannot be read aside, so that it does not hold up those behind it.</summary>
    public string SetAside(SpoolEntry entry)
    {
        var aside = Path.ChangeExtension(entry.Path, ".unreadable");
        File.Copy(entry.Path, aside, overwrite: true);
        Remove(entry);
        return aside;
    }

    /// <summary>Waits until a message is added or removed.</summary>
    public Task Changed
    {
        get
        {
            lock (gate)
                return changed.Task;
        }
    }

    /// <summary>Waits until every message that is in the spool now has been sent.</summary>
    public async Task Sent(CancellationToken cancellation)
    {
        long newest;
        lock (gate)
            newest = last;

        while (true)
        {
            var change = Changed;
            if (Oldest is not { } oldest || oldest.Sequence > newest)
                return;
            await change.WaitAsync(cancellation);
        }
    }

    private void Signal()
    {
        var signal = changed;
        changed = NewSignal();
        signal.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static Type TypeOf(SpoolEntry entry) =>
        types.GetValueOrDefault(Path.GetFileNameWithoutExtension(entry.Path).Split('-')[1])
            ?? throw new JsonException("The file holds a message of a type that this version does not know.");

    private static SpoolEntry Parse(string path) =>
        Path.GetFileNameWithoutExtension(path).Split('-') is [var number, _, var id]
            && long.TryParse(number, CultureInfo.InvariantCulture, out var sequence) && Guid.TryParseExact(id, "n", out var messageId)
                ? new(sequence, messageId, path)
                : throw new InvalidDataException($"{path} is no file of a spool; move it away.");
}
