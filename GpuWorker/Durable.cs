using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Platform.GpuWorker;

/// <summary>Files that survive a power cut whole or not at all.</summary>
internal static partial class Durable
{
    private const int OpenReadOnly = 0;
    private const int OpenDirectory = 0x10000;

    /// <summary>
    /// Writes beside the file, forces the bytes to the disk, renames over the old file, and forces the folder, without which
    /// the new name itself could be lost.
    /// </summary>
    public static void Write(string path, Action<Stream> write, UnixFileMode? mode = null)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var temporary = $"{path}.{Guid.CreateVersion7():n}.tmp";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (mode is { } permissions)
                options.UnixCreateMode = permissions;
            using (var stream = new FileStream(temporary, options))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
            SyncFolder(folder);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    /// <summary>Forces a folder's list of names to the disk. .NET opens no folders, so the system is called directly.</summary>
    public static void SyncFolder(string folder)
    {
        using var handle = Open(folder, OpenReadOnly | OpenDirectory);
        if (handle.IsInvalid || Sync(handle) != 0)
            throw new IOException($"{folder} cannot be forced to the disk (error {Marshal.GetLastPInvokeError()}).");
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);
}
