using System.Text.RegularExpressions;

namespace Platform.Architecture.Tests;

/// <summary>What can be seen in the files alone.</summary>
public partial class SourceSpecs
{
    private static readonly string[] processes = ["Billing", "Scheduler", "GpuWorker"];
    private static readonly string[] projectsWithoutAreas = ["Contracts", "EventStore", "ServiceDefaults", "ops"];
    private static readonly string[] settings = ["*.cs", "*.json", "*.csproj", "*.sh", "*.conf", "servers", "run", "test"];
    private static readonly string[] questions = ["## Problem", "## Decision", "## What we gave up", "## How we will know"];

    [Theory]
    [InlineData("Billing", "scheduler")]
    [InlineData("Billing", "quartz")]
    [InlineData("Scheduler", "billing")]
    [InlineData("GpuWorker", "billing")]
    [InlineData("GpuWorker", "scheduler")]
    public void A_process_never_names_a_table_of_another(string process, string schema) =>
        Sources(process)
            .Where(file => Regex.IsMatch(File.ReadAllText(file), $@"(?<![\w./-]){schema}\.[a-z_]+\b(?!\()", RegexOptions.CultureInvariant))
            .Select(Repository.Relative)
            .ShouldBeEmpty($"{process} would break when the owner of schema {schema} changes it");

    [Fact]
    public void Nothing_listens_beyond_loopback_by_default() =>
        processes.Append("ServiceDefaults").Append("ops")
            .SelectMany(folder => settings.SelectMany(pattern => Repository.Files(pattern, folder)))
            .SelectMany(file => File.ReadLines(file).Select((line, index) => (file, line, number: index + 1)))
            .Where(it => BeyondLoopback().IsMatch(it.line))
            .Select(it => $"{Repository.Relative(it.file)}:{it.number}: {it.line.Trim()}")
            .ShouldBeEmpty();

    [Fact]
    public void Folders_are_named_after_what_the_system_does() =>
        Repository.Folders(Repository.Root)
            .Where(folder => Path.GetFileName(folder) is "Services" or "Managers" or "Helpers" or "Common" or "Utils" or "Repositories")
            .Select(Repository.Relative)
            .ShouldBeEmpty();

    [Fact]
    public void Every_area_says_what_it_means_and_owns() =>
        processes
            .SelectMany(process => Directory.EnumerateDirectories(Path.Combine(Repository.Root, process)))
            .Where(folder => Directory.EnumerateFiles(folder, "*.cs").Any() && Path.GetFileName(folder) is not ("bin" or "obj" or "Properties"))
            .Concat(projectsWithoutAreas.Select(folder => Path.Combine(Repository.Root, folder)))
            .Where(folder => !File.Exists(Path.Combine(folder, "README.md")))
            .Select(Repository.Relative)
            .ShouldBeEmpty();

    [Fact]
    public void Every_relative_link_leads_somewhere() =>
        Repository.Files("*.md")
            .SelectMany(file => Link().Matches(File.ReadAllText(file)).Select(link => (file, target: link.Groups["target"].Value)))
            .Where(link => !Path.Exists(Path.Combine(Path.GetDirectoryName(link.file)!, link.target)))
            .Select(link => $"{Repository.Relative(link.file)} -> {link.target}")
            .ShouldBeEmpty();

    [Fact]
    public void Every_decision_is_numbered_and_answers_the_four_questions() =>
        Repository.Files("*.md", "ops/decisions")
            .Where(file => Path.GetFileName(file) != "README.md")
            .Where(file => !DecisionName().IsMatch(Path.GetFileName(file))
                || !questions.All(File.ReadAllText(file).Contains))
            .Select(Repository.Relative)
            .ShouldBeEmpty();

    private static IEnumerable<string> Sources(string process) =>
        Repository.Files("*.cs", process).Concat(Repository.Files("*.sql", process));

    [GeneratedRegex(@"0\.0\.0\.0|IPAddress\.(IPv6)?Any|ListenAnyIP|https?://[*+]|\[::\]")]
    private static partial Regex BeyondLoopback();

    [GeneratedRegex(@"\]\((?!https?:|mailto:|#)(?<target>[^)#\s]+)(#[^)]*)?\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^\d{4}-[a-z0-9-]+\.md$")]
    private static partial Regex DecisionName();
}
