using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Contracts.Verification;

namespace Platform.Walkthrough;

/// <summary>What a run of the main job needs to know of the platform: two addresses and the operator's key.</summary>
public sealed record PlatformAddress(Uri Billing, Uri Scheduler, string OperatorKey);

/// <summary>A customer with its keys and its subscription.</summary>
public sealed record Customer(TenantId TenantId, string AdminKey, string ViewerKey, string SubscriptionId);

/// <summary>What a signed chain of one attempt says, after it was verified offline.</summary>
public sealed record VerifiedAttempt(string AttemptId, IReadOnlyList<UsageReported> Batches)
{
    public decimal GpuMilliseconds => Batches.Sum(batch => batch.Use.GpuMilliseconds);
    public long Samples => Batches.Sum(batch => batch.Use.Samples);
    public long InferenceCalls => Batches.Sum(batch => batch.Use.InferenceCalls);
}

/// <summary>
/// The platform's main job in steps, by its public API alone: customer, training, inference, ledger, invoice. Every step says what
/// is wrong by throwing <see cref="NotAsItShouldBeException"/>.
/// </summary>
public sealed class MainJob(PlatformAddress address) : IDisposable
{
    /// <summary>Images in the training split of Fashion-MNIST: what one epoch is metered as.</summary>
    public const int TrainingImages = 60_000;

    public const decimal RecurringFee = 20.00m;
    public const decimal PricePerGpuMillisecond = 0.000001m; // 3.60 USD an hour
    public const decimal PricePerInferenceCall = 0.002m;

    private static readonly Currency usd = Currency.USD;

    private readonly PlatformClient operatorAtBilling = new(address.Billing, address.OperatorKey);

    public void Dispose() => operatorAtBilling.Dispose();

    public PlatformClient Billing(string key) => new(address.Billing, key);

    public PlatformClient Scheduler(string key) => new(address.Scheduler, key);

    /// <summary>Makes the two meters and the plan, unless they are there; gives the plan's id.</summary>
    public async Task<string> EnsureCatalog()
    {
        var meters = (await operatorAtBilling.List("/v1/meters")).Select(meter => (string)meter["key"]!).ToHashSet();
        if (!meters.Contains("gpu_time"))
        {
            await operatorAtBilling.Post("/v1/meters", new JsonObject
            {
                ["key"] = "gpu_time",
                ["display_name"] = "GPU time",
                ["event_type"] = "gpu.time",
                ["aggregation"] = "sum",
                ["value_property"] = "milliseconds",
                ["unit"] = "millisecond",
            });
        }

        if (!meters.Contains("inference_calls"))
        {
            await operatorAtBilling.Post("/v1/meters", new JsonObject
            {
                ["key"] = "inference_calls",
                ["display_name"] = "Inference calls",
                ["event_type"] = "inference.call",
                ["aggregation"] = "sum",
                ["value_property"] = "calls",
                ["unit"] = "call",
            });
        }

        var plan = (await operatorAtBilling.List("/v1/plans")).FirstOrDefault(plan => (string?)plan["key"] == "starter")
            ?? await operatorAtBilling.Post("/v1/plans", new JsonObject
            {
                ["key"] = "starter",
                ["display_name"] = "Starter",
                ["recurring_fee"] = new JsonObject { ["amount"] = Text(RecurringFee), ["currency"] = usd.Code },
                ["proration"] = "none",
                ["charges"] = new JsonArray(
                    new JsonObject
                    {
                        ["model"] = "per_unit",
                        ["meter"] = "gpu_time",
                        ["display_name"] = "GPU time",
                        ["unit_price"] = Text(PricePerGpuMillisecond),
                    },
                    new JsonObject
                    {
                        ["model"] = "per_unit",
                        ["meter"] = "inference_calls",
                        ["display_name"] = "Inference calls",
                        ["unit_price"] = Text(PricePerInferenceCall),
                    }),
            });
        return (string)plan["plan_id"]!;
    }

    /// <summary>A new tenant with an admin's and a viewer's key and a subscription to the plan.</summary>
    /// <param name="sandbox">It only tries billing out.</param>
    public async Task<Customer> SignUp(string name, string planId, bool sandbox = false)
    {
        var tenant = await operatorAtBilling.Post("/v1/tenants", new JsonObject
        {
            ["name"] = name,
            ["currency"] = usd.Code,
            ["time_zone"] = "Europe/Berlin",
            ["billing_anchor_day"] = 1,
            ["sandbox"] = sandbox,
        });
        Expect(TenantId.TryParse((string?)tenant["tenant_id"], out var tenantId), $"The new tenant has no id: {tenant.ToJsonString()}");

        using var operatorForTenant = new PlatformClient(address.Billing, address.OperatorKey, tenantId);
        var admin = await Key("tenant_admin");
        var viewer = await Key("tenant_viewer");

        using var billing = Billing(admin);
        var subscription = await billing.Post("/v1/subscriptions", new JsonObject { ["plan_id"] = planId });

        using var scheduler = Scheduler(admin);
        await scheduler.UntilKeyIsKnown("/v1/jobs");
        return new(tenantId, admin, viewer, (string)subscription["subscription_id"]!);

        async Task<string> Key(string scope) => (string)(await operatorForTenant.Post(
            "/v1/api-keys", new JsonObject { ["scope"] = scope, ["name"] = $"{name}, {scope}" }))["key"]!;
    }

    /// <summary>Queues the training of a perceptron with one hidden layer of 128; gives the job's id.</summary>
    public async Task<string> SubmitTraining(Customer customer, int epochs)
    {
        using var scheduler = Scheduler(customer.AdminKey);
        var job = await scheduler.Post("/v1/jobs", Job(new JsonObject
        {
            ["kind"] = "train",
            ["model"] = new JsonObject { ["type"] = "multilayer_perceptron", ["hidden_sizes"] = new JsonArray(128) },
            ["dataset"] = "fashion-mnist",
            ["epochs"] = epochs,
            ["batch_size"] = 128,
            ["learning_rate"] = "0.001",
            ["seed"] = 1,
        }));
        return (string)job["job_id"]!;
    }

    /// <summary>Queues the classification of test images with a trained model; gives the job's id.</summary>
    public async Task<string> SubmitInference(Customer customer, string trainedBy, int samples, int batchSize)
    {
        using var scheduler = Scheduler(customer.AdminKey);
        var job = await scheduler.Post("/v1/jobs", Job(new JsonObject
        {
            ["kind"] = "infer",
            ["trained_by"] = trainedBy,
            ["dataset"] = "fashion-mnist",
            ["samples"] = samples,
            ["batch_size"] = batchSize,
        }));
        return (string)job["job_id"]!;
    }

    /// <summary>Waits for the job's completion; tells <paramref name="progress"/> whatever changes on the way.</summary>
    public async Task<JsonNode> UntilCompleted(Customer customer, string jobId, Action<JsonNode>? progress = null, TimeSpan? within = null)
    {
        using var scheduler = Scheduler(customer.AdminKey);
        return await Until(
            async () =>
            {
                var job = await scheduler.Get($"/v1/jobs/{jobId}");
                progress?.Invoke(job);
                var status = (string?)job["status"];
                Expect(status is not ("failed" or "cancelled"), $"Job {jobId} ended as {status}: {job["failure"]?.ToJsonString()}");
                return status == "completed" ? job : null;
            },
            within ?? TimeSpan.FromMinutes(10),
            () => $"Job {jobId} did not complete.");
    }

    /// <summary>
    /// Waits until the ledger holds what a job was metered as, and verifies the signed chain of each attempt with nothing but the
    /// worker's public key.
    /// </summary>
    /// <param name="isWhole">Whether the attempts together are all that the job used.</param>
    public async Task<IReadOnlyList<VerifiedAttempt>> UntilLedgerHolds(
        Customer customer, JsonNode job, Func<IReadOnlyList<VerifiedAttempt>, bool> isWhole, TimeSpan? within = null)
    {
        using var billing = Billing(customer.ViewerKey);
        var attemptIds = job["attempts"]!.AsArray().Select(attempt => (string)attempt!["attempt_id"]!).ToList();
        List<VerifiedAttempt> seen = [];
        return await Until(
            async () =>
            {
                var attempts = new List<VerifiedAttempt>();
                foreach (var attemptId in attemptIds)
                {
                    if (await Chain(billing, attemptId) is { } attempt)
                        attempts.Add(attempt);
                }

                seen = attempts;
                return isWhole(attempts) ? attempts : null;
            },
            within ?? TimeSpan.FromSeconds(90),
            () => $"The ledger holds {seen.Sum(it => it.Samples)} samples and {seen.Sum(it => it.InferenceCalls)} calls of job "
                + $"{job["job_id"]} in {seen.Sum(it => it.Batches.Count)} batches of {seen.Count} attempts; that is not all.");
    }

    /// <summary>Ends the period now; gives its finalized invoice.</summary>
    public async Task<JsonNode> ClosePeriod(Customer customer)
    {
        using var billing = Billing(customer.AdminKey);
        return await billing.Post($"/v1/subscriptions/{customer.SubscriptionId}/close-period", new JsonObject());
    }

    /// <summary>
    /// Checks an invoice against the verified chains: the base fee once, GPU time and inference calls exactly as metered, each line
    /// its quantity times its price rounded once, and the total their sum.
    /// </summary>
    public static void CheckInvoice(JsonNode invoice, IReadOnlyCollection<VerifiedAttempt> attempts)
    {
        Expect((string?)invoice["status"] == "finalized" && invoice["number"] is not null, "The invoice is not finalized and numbered.");
        var lines = invoice["lines"]!.AsArray().Select(line => line!).ToList();

        var fee = lines.Where(line => (string?)line["kind"] == "recurring_fee").ToList();
        Expect(fee.Count == 1 && Amount(fee[0]) == RecurringFee, "The invoice does not hold the base fee once.");
        CheckLine("gpu_time", attempts.Sum(attempt => attempt.GpuMilliseconds), PricePerGpuMillisecond);
        CheckLine("inference_calls", attempts.Sum(attempt => attempt.InferenceCalls), PricePerInferenceCall);
        Expect(ExactDecimal(invoice["total"]!["amount"]) == lines.Sum(Amount), "The invoice's total is not the sum of its lines.");
        Expect(lines.Count == fee.Count + 2, "The invoice holds lines that nobody asked for.");

        void CheckLine(string meter, decimal metered, decimal price)
        {
            var line = lines.SingleOrDefault(line => (string?)line["meter"] == meter);
            Expect(line is not null, $"The invoice has no line for {meter}.");
            Expect(
                ExactDecimal(line!["quantity"]) == metered,
                $"The invoice bills {line["quantity"]} of {meter}, but the signed batches add up to {Text(metered)}.");
            Expect(
                Amount(line) == Money.Round(metered * price, usd).Amount,
                $"The line of {meter} is not its quantity times its price.");
        }
    }

    /// <summary>
    /// Proves offline that the invoice counts each event of the tenant's ledger, and no others; gives how many there are.
    /// </summary>
    public async Task<int> ProveUsage(Customer customer, JsonNode invoice)
    {
        using var billing = Billing(customer.ViewerKey);
        var events = await billing.List("/v1/usage/events");
        var proving = invoice.Deserialize<ProvingInvoice>(ContractsJson.Strict)!;
        foreach (var reported in events.Select(it => it.Deserialize<ReportedUsage>(ContractsJson.Strict)!))
        {
            var query = $"source={Uri.EscapeDataString(reported.Source)}&event_id={Uri.EscapeDataString(reported.Id)}";
            var proof = await billing.Get($"/v1/invoices/{proving.InvoiceId}/usage-proof?{query}");
            var fault = proof.Deserialize<UsageProof>(ContractsJson.Strict)!.Verify(reported, proving);
            Expect(fault is null, $"The invoice does not prove the event {reported.Id}: {fault?.Problem}");
        }

        Expect(
            proving.UsageTree?.Size == events.Count,
            $"The invoice counts {proving.UsageTree?.Size} events, the ledger holds {events.Count}.");
        return events.Count;
    }

    /// <summary>The same invoice as the tenant's viewer sees it in the portal.</summary>
    public async Task<JsonNode> PortalInvoice(Customer customer, JsonNode invoice)
    {
        using var portal = Billing(customer.ViewerKey);
        return await portal.Get($"/v1/invoices/{invoice["invoice_id"]}");
    }

    public static decimal Amount(JsonNode line) => ExactDecimal(line["amount"]!["amount"]);

    public static decimal ExactDecimal(JsonNode? node) =>
        Decimals.TryParse((string?)node, out var value)
            ? value
            : throw new NotAsItShouldBeException($"{node?.ToJsonString() ?? "null"} is not an exact decimal in a string.");

    public static void Expect(bool holds, string otherwise)
    {
        if (!holds)
            throw new NotAsItShouldBeException(otherwise);
    }

    public static async Task<T> Until<T>(Func<Task<T?>> look, TimeSpan within, Func<string> otherwise) where T : class
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            if (await look() is { } found)
                return found;
            Expect(Stopwatch.GetElapsedTime(started) < within, otherwise());
            await PlatformClient.Pause(TimeSpan.FromMilliseconds(250));
        }
    }

    // Null while the ledger knows nothing of the attempt, or not all: batches come in any order, after a fault above all, so one that
    // is missing before another is still on its way. One that never comes is what the caller's time limit is for.
    private static async Task<VerifiedAttempt?> Chain(PlatformClient billing, string attemptId)
    {
        JsonNode chain;
        try
        {
            chain = await billing.Get($"/v1/usage/attempts/{attemptId}/chain");
        }
        catch (RefusedException refused) when (refused.Status == System.Net.HttpStatusCode.NotFound)
        {
            return null;
        }

        var batches = chain["batches"]!.AsArray()
            .Select(batch => batch.Deserialize<UsageReported>(ContractsJson.Options)!)
            .ToList();
        if ((string?)chain["public_key"] is not { } publicKey)
            return null;
        return UsageChain.Verify(batches, publicKey) switch
        {
            null => new(attemptId, batches),
            { Code: "batch_missing" } => null,
            var fault => throw new NotAsItShouldBeException(
                $"The usage chain of attempt {attemptId} is broken at batch {fault.Sequence}: {fault.Code}."),
        };
    }

    private static JsonObject Job(JsonObject spec) => new() { ["spec"] = spec, ["gpu_milli"] = 1000, ["pool"] = "on-demand", ["flavor"] = null };

    private static string Text(decimal value) => value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The platform did something, and it was not right.</summary>
public sealed class NotAsItShouldBeException(string message) : Exception(message);
