using System.Globalization;
using System.Text.Json.Nodes;
using Platform.Walkthrough;

namespace Platform.Scenarios;

/// <summary>Usage by HTTP while what takes it is killed: senders send again what was not answered, and nothing is lost or doubled.</summary>
public class UsageIngestScenarios(PrivateServers servers)
{
    private const int Senders = 4;
    private const int BatchesEach = 60;
    private const int EventsEach = 100;

    [Theory]
    [InlineData("postgres")]
    [InlineData("billing")]
    public async Task What_is_killed_in_the_middle_of_ingest_loses_and_doubles_nothing(string killed)
    {
        await using var platform = await RunningPlatform.Start(servers, $"ingest-{killed}");
        using var main = new MainJob(platform.Address);
        var customer = await main.SignUp("Edsger", await main.EnsureCatalog());
        var answered = 0;

        var sending = Enumerable.Range(0, Senders).Select(sender => Task.Run(async () =>
        {
            using var billing = main.Billing(customer.AdminKey);
            for (var batch = 0; batch < BatchesEach; batch++)
            {
                var report = await billing.Post("/v1/usage/events", Batch(sender, batch));
                ((int)report["accepted"]! + (int)report["duplicates"]!).ShouldBe(EventsEach);
                Interlocked.Increment(ref answered);
            }
        })).ToList();
        foreach (var share in (double[])[0.2, 0.5])
        {
            while (Volatile.Read(ref answered) < share * Senders * BatchesEach && !sending.Exists(it => it.IsFaulted))
                await PlatformClient.Pause(TimeSpan.FromMilliseconds(10));
            await KillAndStart(platform, killed, share);
        }

        var before = Volatile.Read(ref answered);
        before.ShouldBeLessThan(Senders * BatchesEach, "it was killed in the middle");
        await Task.WhenAll(sending);
        await EachIsThereOnce(main, customer);
    }

    private static async Task KillAndStart(RunningPlatform platform, string killed, double share)
    {
        if (killed == "postgres")
        {
            await PrivateServers.Kill("postgres");
            await PrivateServers.Start("postgres");
            return;
        }

        await platform.Billing.Kill();
        await platform.StartBilling(string.Create(CultureInfo.InvariantCulture, $"billing-after-{share}"));
    }

    private static async Task EachIsThereOnce(MainJob main, Customer customer)
    {
        using var billing = main.Billing(customer.ViewerKey);
        var ledger = await billing.List("/v1/usage/events");
        var sent =
            from sender in Enumerable.Range(0, Senders)
            from batch in Enumerable.Range(0, BatchesEach)
            from it in Batch(sender, batch)["events"]!.AsArray()
            select (string)it!["id"]!;
        ledger.Select(it => (string)it["id"]!).Order(StringComparer.Ordinal).ShouldBe(sent.Order(StringComparer.Ordinal));
        ledger.Sum(it => MainJob.ExactDecimal(it["data"]!["calls"])).ShouldBe(Senders * BatchesEach * EventsEach * 2.5m);
        (await billing.List("/v1/usage/conflicts")).ShouldBeEmpty();
    }

    // The same each time it is made: a second try is the first one's repeat.
    private static JsonObject Batch(int sender, int batch) => new()
    {
        ["events"] = new JsonArray([.. Enumerable.Range(0, EventsEach).Select(place => new JsonObject
        {
            ["id"] = $"{sender}-{batch}-{place}",
            ["source"] = "gateway",
            ["type"] = "inference.call",
            ["time"] = started,
            ["data"] = new JsonObject { ["calls"] = "2.5" },
        })]),
    };

    private static readonly string started = DateTimeOffset.FromUnixTimeSeconds(
        TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - 3600).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
