using System.Runtime.CompilerServices;

namespace Platform.Architecture.Tests;

/// <summary>The repository as files, without what is built or downloaded into it.</summary>
internal static class Repository
{
    private static readonly string[] notOurs = [".git", ".local", ".vs", ".idea", "artifacts", "bin", "obj", "node_modules"];

    public static readonly string Root = Find();

    public static IEnumerable<string> Files(string pattern, string under = "") =>
        Folders(Path.Combine(Root, under)).SelectMany(folder => Directory.EnumerateFiles(folder, pattern));

    public static IEnumerable<string> Folders(string under) =>
        Directory.EnumerateDirectories(under)
            .Where(folder => !notOurs.Contains(Path.GetFileName(folder)) && !new DirectoryInfo(folder).Attributes.HasFlag(FileAttributes.ReparsePoint))
            .SelectMany(Folders)
            .Prepend(under);

    public static string Relative(string path) => Path.GetRelativePath(Root, path);

    private static string Find([CallerFilePath] string here = "")
    {
        var folder = Path.GetDirectoryName(here);
        while (folder is not null && !File.Exists(Path.Combine(folder, "Platform.sln")))
            folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException($"No Platform.sln above {here}.");
    }
}
