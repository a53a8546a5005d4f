using System.Reflection;
using System.Runtime.InteropServices;

namespace Platform.GpuWorker.Torch;

/// <summary>Finds and loads the bridge, <c>libplatform_torch.so</c>, and the libtorch behind it.</summary>
public static class TorchLibrary
{
    internal const string Name = "platform_torch";
    private const string FileName = "libplatform_torch.so";
    private const string Variable = "PLATFORM_TORCH_LIBRARY";
    private const int AbiVersion = 1;

    private static readonly Lazy<string> path = new(Load, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>
    /// Loads the bridge: the file that <c>PLATFORM_TORCH_LIBRARY</c> names, else the one beside the program, else
    /// <c>artifacts/native</c> of the repository that the program lies in. Takes about a second the first time.
    /// </summary>
    /// <returns>The path of the loaded file.</returns>
    /// <exception cref="TorchUnavailableException">There is none, it does not load, or it is another version.</exception>
    public static string EnsureLoaded() => path.Value;

    /// <summary>libtorch's version, for example <c>1.13.0</c>.</summary>
    public static unsafe string TorchVersion
    {
        get
        {
            EnsureLoaded();
            return Marshal.PtrToStringUTF8((nint)Native.TorchVersion())!;
        }
    }

    /// <summary>Native objects given out and not freed yet, in the whole process.</summary>
    public static long LiveHandles
    {
        get
        {
            EnsureLoaded();
            return Native.LiveHandles();
        }
    }

    /// <summary>CUDA devices that this libtorch can use; 0 for a libtorch without CUDA.</summary>
    public static int CudaDevices
    {
        get
        {
            EnsureLoaded();
            Native.Check(Native.CudaDeviceCount(out var count));
            return count;
        }
    }

    private static string Load()
    {
        var file = Candidates().FirstOrDefault(File.Exists)
            ?? throw new TorchUnavailableException(
                $"{FileName} was not found at {string.Join(", ", Candidates())}. " +
                $"Build it with GpuWorker/native/build, or name it in {Variable}.");
        try
        {
            var handle = NativeLibrary.Load(file);
            NativeLibrary.SetDllImportResolver(
                Assembly.GetExecutingAssembly(), (name, _, _) => name == Name ? handle : 0);
        }
        catch (DllNotFoundException error)
        {
            throw new TorchUnavailableException(
                $"{file} does not load: {error.Message} Install libtorch (Debian: libtorch-dev libopenblas0-pthread), " +
                $"or build for another one with TORCH_DIR=... GpuWorker/native/build.", error);
        }

        if (Native.AbiVersion() is var version and not AbiVersion)
        {
            throw new TorchUnavailableException(
                $"{file} has ABI version {version}, this program needs {AbiVersion}; run GpuWorker/native/build.");
        }

        Native.Check(Native.Initialize());
        return file;
    }

    private static IEnumerable<string> Candidates()
    {
        // An explicit choice is the only candidate: falling back from a wrong path would hide the mistake.
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } chosen)
            return [chosen];

        var repositories = new List<string>();
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Directory.Build.props")))
                repositories.Add(Path.Combine(folder.FullName, "artifacts", "native", FileName));
        }

        return [Path.Combine(AppContext.BaseDirectory, FileName), .. repositories];
    }
}
