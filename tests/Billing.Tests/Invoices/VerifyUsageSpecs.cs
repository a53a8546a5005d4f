using System.Diagnostics;
using System.Text.Json;
using NodaTime;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using static Platform.Billing.Tests.Invoices.UsageProofSpecs;
using static Platform.Billing.Tests.Usage.UsageCorrectionSpecs;

namespace Platform.Billing.Tests.Invoices;

/// <summary>The offline checker as a partner runs it: a process of its own, which knows nothing but three files.</summary>
public sealed class VerifyUsageSpecs(BillingHost billing) : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("usage-proof-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public async Task It_verifies_an_event_and_says_what_is_wrong_with_changed_files()
    {
        var tenant = await billing.NewTenant();
        var subscription = await BillingHost.Subscribe(tenant, await billing.NewCatalog());
        var hour = Duration.FromHours(1);
        var call = Call("1", 5, billing.Clock.Now - hour);
        await Send(tenant, call, Call("2", 7, billing.Clock.Now - 2 * hour));
        await Correct(tenant.Admin, "amend", "1", new { calls = "4" });
        var closed = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/close-period");
        var answer = await Proof(tenant, closed.Json, "1");
        var (reported, proof, invoice) = (JsonSerializer.Serialize(call, ContractsJson.Strict), answer.Text, closed.Text);

        (await Verify(reported, proof, invoice)).ShouldBe((
            0,
            $"""
            Verified: invoice {closed.Json.GetProperty("number")} counts event 1 of test as one of 2, in the hour of 2026-03-10T11:00:00Z.
            Reported:
              calls = 5
            Amended at 2026-03-10T12:00:00Z by {answer.Json.GetProperty("corrections")[0].GetProperty("actor")}: a reason
              calls = 4

            """));

        // The event as the ledger shows it is as good as the tenant's own record of it.
        var shown = (await tenant.Viewer.Get("/v1/usage/events")).Json.GetProperty("items")[0].GetRawText();
        (await Verify(shown, proof, invoice)).Status.ShouldBe(0);

        await Fails("leaf_differs", Changed(reported, "\"5\"", "\"6\""), proof, invoice);
        await Fails("path_broken", reported, Changed(proof, "\"index\":0", "\"index\":1"), invoice);
        await Fails("root_differs", reported, proof, Changed(invoice, Root(closed.Json), new('0', 64)));
        await Fails("cannot be read", "{}", proof, invoice);
        await Fails("cannot be read", reported, "no JSON", invoice);
    }

    [Fact]
    public async Task It_says_which_files_it_needs_and_which_is_missing()
    {
        (await Run([])).Status.ShouldBe(1);
        var (status, says) = await Run(["no-event.json", "no-proof.json", "no-invoice.json"]);

        status.ShouldBe(1);
        says.ShouldContain("no-event.json");
    }

    private async Task Fails(string why, string reported, string proof, string invoice)
    {
        var (status, says) = await Verify(reported, proof, invoice);
        says.ShouldStartWith("Not verified: ");
        says.ShouldContain(why);
        status.ShouldBe(1);
    }

    private Task<(int Status, string Says)> Verify(string reported, string proof, string invoice) =>
        Run([Write("event.json", reported), Write("proof.json", proof), Write("invoice.json", invoice)]);

    private string Write(string name, string text)
    {
        var file = Path.Combine(folder.FullName, name);
        File.WriteAllText(file, text);
        return file;
    }

    private static string Changed(string text, string from, string to)
    {
        text.ShouldContain(from);
        return text.Replace(from, to, StringComparison.Ordinal);
    }

    private static async Task<(int Status, string Says)> Run(string[] files)
    {
        var built = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var program = Path.Combine(built.Parent!.Parent!.FullName, "VerifyUsage", built.Name, "Platform.VerifyUsage.dll");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [program, .. files])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var says = await process.StandardOutput.ReadToEndAsync(BillingHost.Cancellation);
        await process.WaitForExitAsync(BillingHost.Cancellation);
        return (process.ExitCode, says);
    }
}
