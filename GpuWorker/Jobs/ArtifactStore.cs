using Platform.Contracts;

namespace Platform.GpuWorker.Jobs;

/// <summary>
/// Files that outlive an attempt: models, predictions, checkpoints, under <c>{root}/{tenant}/{job}/</c>. They are named by
/// URIs relative to the root, <c>file:{tenant}/{job}/{name}</c>, so that workers may mount the same store elsewhere.
/// </summary>
public sealed class ArtifactStore(string root)
{
    private const string Scheme = "file:";
    private readonly string root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(root));

    public static string UriOf(TenantId tenant, JobId job, string name) => $"{Scheme}{tenant}/{job}/{name}";

    /// <summary>The file that a URI names, which need not exist.</summary>
    /// <exception cref="UnauthorizedAccessException">The URI leaves the tenant's own part of the store.</exception>
    public string PathOf(TenantId tenant, string uri)
    {
        var owned = Path.Combine(root, tenant.ToString()) + Path.DirectorySeparatorChar;
        if (!uri.StartsWith(Scheme, StringComparison.Ordinal))
            throw new UnauthorizedAccessException($"'{uri}' names no file of the artifact store.");

        var path = Path.GetFullPath(Path.Combine(root, uri[Scheme.Length..]));
        return path.StartsWith(owned, StringComparison.Ordinal)
            ? path
            : throw new UnauthorizedAccessException($"'{uri}' lies outside the tenant's part of the artifact store.");
    }

    /// <summary>The file to write for a job; its folder exists afterwards.</summary>
    public string PathToWrite(TenantId tenant, JobId job, string name)
    {
        var path = PathOf(tenant, UriOf(tenant, job, name));
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }
}
