using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Platform.Walkthrough;

namespace Platform.Scenarios;

/// <summary>What Billing knows of a tenant, and how the Scheduler treats its jobs, on real processes with messages between them.</summary>
public class AdmissionScenarios(PrivateServers servers)
{
    [Fact]
    public async Task Jobs_are_taken_as_long_as_use_is_within_the_plans_limit_and_never_of_a_sandbox()
    {
        await using var platform = await RunningPlatform.Start(servers, "admission", recurringCron: "* * * * * ?");
        using var main = new MainJob(platform.Address);
        await main.EnsureCatalog();
        var customer = await main.SignUp("Ada", await PlanOfOneSecond(platform));
        using var billing = main.Billing(customer.AdminKey);

        await main.SubmitTraining(customer, epochs: 1);
        await Report(billing, milliseconds: "1000");
        (await UntilRefused(main, customer)).ShouldContain("limit.usage.reached");
        (await billing.Get("/v1/entitlements"))["limits"]![0]!["remaining"]!.ToString().ShouldBe("0");

        await billing.Post("/v1/usage/corrections", new JsonObject
        {
            ["kind"] = "void",
            ["source"] = "scenario",
            ["id"] = "1",
            ["reason"] = "Reported by mistake.",
        });
        await MainJob.Until(
            async () => await Refusal(main, customer) is null ? "taken" : null,
            TimeSpan.FromSeconds(60),
            () => "There is room again, but no job is taken.");

        var sandbox = await main.SignUp("Trial", await PlanOfOneSecond(platform), sandbox: true);
        (await Refusal(main, sandbox)).ShouldNotBeNull().ShouldContain("tenant.sandbox");
    }

    private static async Task<string> PlanOfOneSecond(RunningPlatform platform)
    {
        using var @operator = new PlatformClient(platform.Address.Billing, platform.Address.OperatorKey);
        var plan = await @operator.Post("/v1/plans", new JsonObject
        {
            ["key"] = $"second-{Guid.CreateVersion7():n}",
            ["display_name"] = "One second",
            ["recurring_fee"] = new JsonObject { ["amount"] = "0.00", ["currency"] = "USD" },
            ["proration"] = "none",
            ["charges"] = new JsonArray(),
            ["entitlements"] = new JsonObject
            {
                ["limits"] = new JsonArray(
                    new JsonObject { ["limit"] = "usage", ["meter"] = "gpu_time", ["max"] = "1000", ["mode"] = "hard" }),
            },
        });
        return (string)plan["plan_id"]!;
    }

    private static Task<JsonNode> Report(PlatformClient billing, string milliseconds) => billing.Post("/v1/usage/events", new JsonObject
    {
        ["id"] = "1",
        ["source"] = "scenario",
        ["type"] = "gpu.time",
        ["time"] = TimeProvider.System.GetUtcNow().UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        ["data"] = new JsonObject { ["milliseconds"] = milliseconds },
    });

    private static Task<string> UntilRefused(MainJob main, Customer customer) => MainJob.Until(
        () => Refusal(main, customer), TimeSpan.FromSeconds(60), () => "The limit is reached, but jobs are taken.");

    /// <summary>Why a job is not taken; null where it is, and waits, because no worker runs.</summary>
    private static async Task<string?> Refusal(MainJob main, Customer customer)
    {
        try
        {
            await main.SubmitTraining(customer, epochs: 1);
            return null;
        }
        catch (RefusedException refused) when (refused.Status == HttpStatusCode.Conflict)
        {
            return refused.Message;
        }
    }
}
