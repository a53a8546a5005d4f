using System.Security.Cryptography;
using System.Text;
using Platform.Contracts;
using Platform.Contracts.Messages;

namespace Platform.GpuWorker.Metering;

/// <summary>
/// Who this worker is: an id and a P-256 key that live in its data folder across restarts, and a session that is new
/// with each process. Holding it locks the folder, because two processes with one id would fence each other out.
/// </summary>
public sealed class WorkerIdentity : IDisposable
{
    private readonly FileStream folderLock;
    private readonly ECDsa key;
    private readonly Lock signing = new();

    private WorkerIdentity(FileStream folderLock, ECDsa key, WorkerId workerId)
    {
        this.folderLock = folderLock;
        this.key = key;
        WorkerId = workerId;
        PublicKey = Convert.ToBase64String(key.ExportSubjectPublicKeyInfo());
    }

    public WorkerId WorkerId { get; }

    public WorkerSessionId SessionId { get; } = WorkerSessionId.New();

    /// <summary>Subject public key info, base64.</summary>
    public string PublicKey { get; }

    /// <summary>Reads the folder's identity, or makes one there.</summary>
    /// <exception cref="InvalidOperationException">Another worker runs on the folder.</exception>
    public static WorkerIdentity Open(string dataDirectory)
    {
        Directory.CreateDirectory(dataDirectory);
        var folderLock = Lock(Path.Combine(dataDirectory, "worker.lock"));
        try
        {
            var keyFile = Path.Combine(dataDirectory, "worker.key");
            var idFile = Path.Combine(dataDirectory, "worker.id");
            var key = File.Exists(keyFile) ? ReadKey(keyFile) : NewKey(keyFile);
            if (!File.Exists(idFile))
                Durable.Write(idFile, stream => stream.Write(Encoding.ASCII.GetBytes($"{WorkerId.New()}\n")));
            return WorkerId.TryParse(File.ReadAllText(idFile).Trim(), out var id)
                ? new(folderLock, key, id)
                : throw new InvalidDataException($"{idFile} holds no worker id.");
        }
        catch
        {
            folderLock.Dispose();
            throw;
        }
    }

    public UsageReported Sign(UsageReported batch)
    {
        lock (signing)
            return UsageChain.Sign(batch, key);
    }

    public void Dispose()
    {
        key.Dispose();
        folderLock.Dispose();
    }

    private static FileStream Lock(string file)
    {
        try
        {
            return new(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            throw new InvalidOperationException($"Another worker runs on {Path.GetDirectoryName(file)}.", error);
        }
    }

    private static ECDsa ReadKey(string file)
    {
        var key = ECDsa.Create();
        key.ImportFromPem(File.ReadAllText(file));
        return key;
    }

    private static ECDsa NewKey(string file)
    {
        var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Durable.Write(
            file,
            stream => stream.Write(Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n")),
            UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return key;
    }
}
