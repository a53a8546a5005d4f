using System.Net;
using System.Net.NetworkInformation;
using System.Text.Json.Nodes;
using Platform.Contracts;
using Platform.Testing;
using Platform.Walkthrough;

namespace Platform.Scenarios;

/// <summary>A tenant's job from the queue to the invoice, on three real processes, through faults.</summary>
public class MainJobScenarios(PrivateServers servers)
{
    private const int TrainingBatch = 128;
    private const int InferenceCalls = 20;
    private static readonly int stepsPerEpoch = (MainJob.TrainingImages + TrainingBatch - 1) / TrainingBatch;

    [Fact]
    public async Task A_job_becomes_a_verifiable_invoice()
    {
        await using var platform = await RunningPlatform.Start(servers, "invoice");
        await platform.StartWorker("machine-1");
        using var main = new MainJob(platform.Address);
        var customer = await main.SignUp("Ada", await main.EnsureCatalog());

        var training = await main.UntilCompleted(customer, await main.SubmitTraining(customer, epochs: 5));
        MainJob.ExactDecimal(training["metrics"]!["test_accuracy"]).ShouldBeGreaterThanOrEqualTo(0.85m);
        var trained = await main.UntilLedgerHolds(customer, training, Used(samples: 5 * MainJob.TrainingImages));

        var (_, classified) = await Classify(main, customer, training);
        var invoice = await main.ClosePeriod(customer);

        await TheBooksAgree(main, customer, invoice, [.. trained, .. classified]);
        Approve.Text(WithoutWhatDiffersByRun(invoice), "invoice.json");
        NothingListensBeyondLoopback();

        await platform.Rebuild("invoices");
        JsonNode.DeepEquals(await main.PortalInvoice(customer, invoice), invoice).ShouldBeTrue("A rebuilt invoice is the same invoice.");
    }

    [Fact]
    public async Task A_job_of_a_worker_that_was_killed_finishes_from_its_checkpoint_and_is_billed_once()
    {
        const int epochs = 12;
        await using var platform = await RunningPlatform.Start(servers, "killed-worker");
        var lost = await platform.StartWorker("machine-1");
        using var main = new MainJob(platform.Address);
        var customer = await main.SignUp("Grace", await main.EnsureCatalog());

        var jobId = await main.SubmitTraining(customer, epochs);
        await UntilCheckpoint(main, customer, jobId);
        await lost.Kill();
        await platform.StartWorker("machine-2");

        JsonNode? resumedFrom = null;
        var training = await main.UntilCompleted(customer, jobId, job =>
        {
            if (Attempts(job).Count == 2)
                resumedFrom ??= job["checkpoint"];
        });
        Attempts(training).Count.ShouldBe(2);
        Attempts(training)[0]["worker_id"]!.ToString().ShouldNotBe(Attempts(training)[1]["worker_id"]!.ToString());
        MainJob.ExactDecimal(training["metrics"]!["test_accuracy"]).ShouldBeGreaterThanOrEqualTo(0.85m);

        // The second attempt did what the checkpoint had left to do, and nothing twice.
        var left = epochs * (long)MainJob.TrainingImages - SamplesAt((long)resumedFrom!["step"]!);
        left.ShouldBeInRange(1, epochs * (long)MainJob.TrainingImages - 1);
        var trained = await main.UntilLedgerHolds(
            customer, training, attempts => attempts.Count == 2 && attempts[1].Samples == left);
        trained[0].Batches.ShouldNotBeEmpty();

        var (_, classified) = await Classify(main, customer, training);
        await TheBooksAgree(main, customer, await main.ClosePeriod(customer), [.. trained, .. classified]);
    }

    [Theory]
    [InlineData("rabbitmq", false)]
    [InlineData("postgres", false)]
    [InlineData("postgres", true)]
    public async Task A_server_that_is_away_during_the_run_costs_no_event_and_doubles_none(string server, bool crash)
    {
        const int epochs = 12;
        await using var platform = await RunningPlatform.Start(servers, $"{server}-{(crash ? "crash" : "restart")}");
        await platform.StartWorker("machine-1");
        using var main = new MainJob(platform.Address);
        var customer = await main.SignUp("Barbara", await main.EnsureCatalog());

        var jobId = await main.SubmitTraining(customer, epochs);
        await UntilCheckpoint(main, customer, jobId);
        await (crash ? PrivateServers.Kill(server) : PrivateServers.Stop(server));
        try
        {
            await PlatformClient.Pause(TimeSpan.FromSeconds(2));
        }
        finally
        {
            await PrivateServers.Start(server);
        }

        // A worker that cannot reach the broker for its lease gives the attempt up, and the job goes on from its checkpoint.
        var resumedFrom = new Dictionary<int, long>();
        var training = await main.UntilCompleted(
            customer, jobId,
            job => resumedFrom.TryAdd(Attempts(job).Count, (long?)job["checkpoint"]?["step"] ?? 0));
        var attempts = Attempts(training).Count;
        var left = epochs * (long)MainJob.TrainingImages - (attempts == 1 ? 0 : SamplesAt(resumedFrom[attempts]));
        var trained = await main.UntilLedgerHolds(
            customer, training, verified => verified.Count == attempts && verified[^1].Samples == left);

        var (_, classified) = await Classify(main, customer, training);
        await TheBooksAgree(main, customer, await main.ClosePeriod(customer), [.. trained, .. classified]);
    }

    // Servers, Erlang's port mapper and the processes have the eight ports from the base on.
    private void NothingListensBeyondLoopback()
    {
        var listeners = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners()
            .Where(listener => listener.Port >= servers.Port(0) && listener.Port <= servers.Port(7))
            .ToList();

        listeners.Select(listener => listener.Port).Distinct().Count().ShouldBe(8);
        listeners.ShouldAllBe(listener => IPAddress.IsLoopback(listener.Address));
    }

    private static Func<IReadOnlyList<VerifiedAttempt>, bool> Used(long samples) =>
        attempts => attempts.Sum(attempt => attempt.Samples) == samples;

    private static List<JsonNode> Attempts(JsonNode job) => [.. job["attempts"]!.AsArray().Select(attempt => attempt!)];

    // The last batch of an epoch is smaller, so that each image is seen once per epoch.
    private static long SamplesAt(long step) =>
        step / stepsPerEpoch * MainJob.TrainingImages + step % stepsPerEpoch * TrainingBatch;

    private static async Task UntilCheckpoint(MainJob main, Customer customer, string jobId)
    {
        using var scheduler = main.Scheduler(customer.ViewerKey);
        await MainJob.Until(
            async () => (await scheduler.Get($"/v1/jobs/{jobId}"))["checkpoint"],
            TimeSpan.FromSeconds(90),
            () => "The training wrote no checkpoint.");
    }

    private static async Task<(JsonNode Job, IReadOnlyList<VerifiedAttempt> Attempts)> Classify(
        MainJob main, Customer customer, JsonNode training)
    {
        var jobId = await main.SubmitInference(customer, (string)training["job_id"]!, samples: 10_000, batchSize: 10_000 / InferenceCalls);
        var job = await main.UntilCompleted(customer, jobId);
        var attempts = await main.UntilLedgerHolds(
            customer, job, attempts => attempts.Sum(attempt => attempt.InferenceCalls) == InferenceCalls);
        return (job, attempts);
    }

    /// <summary>Signed batches, ledger and invoice say the same: every batch is there, and once.</summary>
    private static async Task TheBooksAgree(
        MainJob main, Customer customer, JsonNode invoice, IReadOnlyList<VerifiedAttempt> attempts)
    {
        MainJob.CheckInvoice(invoice, attempts);
        JsonNode.DeepEquals(await main.PortalInvoice(customer, invoice), invoice).ShouldBeTrue();

        using var billing = main.Billing(customer.ViewerKey);
        var ledger = await billing.List("/v1/usage/events");
        ledger.Select(it => (string)it["id"]!).ShouldBeUnique();
        (await main.ProveUsage(customer, invoice)).ShouldBe(ledger.Count);
        ledger.Where(it => (string)it["type"]! == "gpu.time").Select(it => (string)it["id"]!).ShouldBe(
            attempts.SelectMany(attempt => attempt.Batches.Select(batch => $"{attempt.AttemptId}/{batch.Sequence}/gpu.time")),
            ignoreOrder: true);
        Sum(ledger, "gpu.time", "milliseconds").ShouldBe(attempts.Sum(attempt => attempt.GpuMilliseconds));
        Sum(ledger, "gpu.time", "samples").ShouldBe(attempts.Sum(attempt => attempt.Samples));
        Sum(ledger, "inference.call", "calls").ShouldBe(attempts.Sum(attempt => attempt.InferenceCalls));
    }

    private static decimal Sum(IEnumerable<JsonNode> ledger, string type, string property) =>
        ledger.Where(it => (string)it["type"]! == type).Sum(it => MainJob.ExactDecimal(it["data"]![property]));

    // Ids, times and the measured GPU time differ; everything else of the invoice is the same in every run.
    private static string WithoutWhatDiffersByRun(JsonNode invoice)
    {
        var copy = (JsonObject)invoice.DeepClone();
        foreach (var name in new[] { "invoice_id", "drafted_at", "finalized_at", "due_at" })
            copy[name] = "...";
        foreach (var name in new[] { "subscription_id", "plan_id", "period_start", "period_end" })
            copy["subscriptions"]![0]![name] = "...";
        copy["number"] = ((string)copy["number"]!)[4..];
        copy["billing_period"]!["start"] = "...";
        copy["billing_period"]!["end"] = "...";
        foreach (var line in copy["lines"]!.AsArray())
        {
            foreach (var name in new[] { "window_start", "window_end", "subscription_id", "plan_id" })
                line![name] = "...";
            if ((string?)line!["meter"] != "gpu_time")
                continue;
            line["quantity"] = "(measured)";
            line["amount"]!["amount"] = "(measured)";
        }

        copy["subtotal"]!["amount"] = "(sum of the lines)";
        copy["total"]!["amount"] = "(sum of the lines)";
        copy["amount_due"]!["amount"] = "(sum of the lines)";
        copy["usage_tree"] = "(over what this run used)";
        return copy.ToJsonString(new(ContractsJson.Options) { WriteIndented = true }) + "\n";
    }
}
