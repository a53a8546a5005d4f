using System.Buffers.Binary;
using System.IO.Compression;

namespace Platform.GpuWorker.Tests.Support;

/// <summary>
/// A dataset root with the first images of the real Fashion-MNIST (Debian's dataset-fashion-mnist), so that a test trains
/// in seconds. Without that package these tests fail.
/// </summary>
internal static class SmallFashion
{
    private const string Source = "/usr/share/datasets/fashion-mnist";
    private const int Pixels = 784;

    public static string Create(string folder, int train, int test)
    {
        var target = Path.Combine(folder, "fashion-mnist");
        Directory.CreateDirectory(target);
        Cut(target, "train", train);
        Cut(target, "t10k", test);
        return folder;
    }

    private static void Cut(string target, string split, int count)
    {
        Cut(target, $"{split}-images-idx3-ubyte.gz", headerBytes: 16, count * Pixels, count);
        Cut(target, $"{split}-labels-idx1-ubyte.gz", headerBytes: 8, count, count);
    }

    private static void Cut(string target, string file, int headerBytes, int dataBytes, int count)
    {
        using var source = new GZipStream(File.OpenRead(Path.Combine(Source, file)), CompressionMode.Decompress);
        var bytes = new byte[headerBytes + dataBytes];
        source.ReadExactly(bytes);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(4), count);
        using var output = new GZipStream(File.Create(Path.Combine(target, file)), CompressionLevel.Fastest);
        output.Write(bytes);
    }
}

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("gpu-worker-").FullName;

    public string this[string name] => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
