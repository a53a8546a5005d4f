using System.Xml.Linq;

namespace Platform.Architecture.Tests;

/// <summary>Who may know whom. The processes meet in Contracts and nowhere else.</summary>
public class ReferenceSpecs
{
    private static readonly Dictionary<string, string[]> allowed = new()
    {
        ["Contracts"] = [],
        ["EventStore"] = [],
        ["ServiceDefaults"] = ["Contracts", "EventStore"],
        ["Billing"] = ["Contracts", "EventStore", "ServiceDefaults"],
        ["Scheduler"] = ["Contracts", "EventStore", "ServiceDefaults"],
        ["GpuWorker"] = ["Contracts"],
        ["Walkthrough"] = ["Contracts"],
        ["VerifyUsage"] = ["Contracts"],
    };

    private static readonly Dictionary<string, string[]> forbiddenPackages = new()
    {
        ["Contracts"] = ["MassTransit", "Npgsql", "Quartz", "Microsoft.AspNetCore", "OpenTelemetry"],
        ["EventStore"] = ["MassTransit", "Quartz", "OpenTelemetry"],
        ["Billing"] = ["Quartz"],
        ["GpuWorker"] = ["Npgsql", "Quartz"],
        ["Walkthrough"] = ["Npgsql", "MassTransit", "Quartz"],
        ["VerifyUsage"] = ["Npgsql", "MassTransit", "Quartz"],
    };

    public static TheoryData<string> Projects => [.. ProjectFiles().Keys.Order()];

    [Theory, MemberData(nameof(Projects))]
    public void A_project_references_only_what_it_may(string project)
    {
        allowed.ShouldContainKey(project, "A new project needs a place in this table and a decision record.");

        References(project, "ProjectReference")
            .Select(reference => Path.GetFileNameWithoutExtension(reference.Replace('\\', '/')))
            .Except(allowed[project])
            .ShouldBeEmpty();
    }

    [Theory, MemberData(nameof(Projects))]
    public void A_project_uses_no_package_that_belongs_elsewhere(string project) =>
        References(project, "PackageReference")
            .Where(package => forbiddenPackages.GetValueOrDefault(project, []).Any(package.StartsWith))
            .ShouldBeEmpty();

    [Fact]
    public void The_compiled_contracts_reach_no_bus_no_database_and_no_web() =>
        typeof(Contracts.Money).Assembly.GetReferencedAssemblies()
            .Select(assembly => assembly.Name!)
            .Where(name => forbiddenPackages["Contracts"].Any(name.StartsWith) || name.StartsWith("Microsoft.Extensions", StringComparison.Ordinal))
            .ShouldBeEmpty();

    [Fact]
    public void The_compiled_event_store_knows_no_domain() =>
        typeof(EventStore.EventTypes).Assembly.GetReferencedAssemblies()
            .Select(assembly => assembly.Name!)
            .Where(name => name.StartsWith("Platform.", StringComparison.Ordinal) || name.StartsWith("MassTransit", StringComparison.Ordinal))
            .ShouldBeEmpty();

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Repository.Root, "Platform.sln"));

        Repository.Files("*.csproj")
            .Where(file => !solution.Contains(Path.GetFileName(file), StringComparison.Ordinal))
            .Select(Repository.Relative)
            .ShouldBeEmpty();
    }

    [Fact]
    public void No_project_lies_in_the_folder_of_another()
    {
        var folders = Repository.Files("*.csproj").Select(file => Path.GetDirectoryName(file)! + Path.DirectorySeparatorChar).ToList();

        folders.Where(inner => folders.Any(outer => inner != outer && inner.StartsWith(outer, StringComparison.Ordinal)))
            .Select(Repository.Relative)
            .ShouldBeEmpty("it would be compiled into the outer project");
    }

    private static Dictionary<string, string> ProjectFiles() =>
        Repository.Files("*.csproj")
            .Where(file => !Repository.Relative(file).StartsWith("tests", StringComparison.Ordinal))
            .ToDictionary(file => Path.GetFileNameWithoutExtension(file));

    private static IEnumerable<string> References(string project, string kind) =>
        XDocument.Load(ProjectFiles()[project]).Descendants(kind).Select(reference => reference.Attribute("Include")!.Value);
}
