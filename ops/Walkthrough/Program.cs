using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Platform.Walkthrough;

const int epochs = 5;
const int inferenceSamples = 10_000;
const int inferenceBatch = 500;
const decimal accuracyMin = 0.85m;

if (args.Length != 3 || Environment.GetEnvironmentVariable("PLATFORM_OPERATOR_KEY") is not { Length: > 0 } operatorKey)
{
    Console.Error.WriteLine("usage: PLATFORM_OPERATOR_KEY=... Platform.Walkthrough <Billing's address> <Scheduler's address> <folder for keys>");
    return 2;
}

using var main = new MainJob(new(new Uri(args[0]), new Uri(args[1]), operatorKey));
try
{
    Say("Catalog: meters gpu_time and inference_calls, plan starter");
    var plan = await main.EnsureCatalog();

    var name = $"Walkthrough {TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture)}";
    var customer = await main.SignUp(name, plan);
    Keep("tenant_admin.key", customer.AdminKey);
    Keep("tenant_viewer.key", customer.ViewerKey);
    Say($"Tenant '{name}' ({customer.TenantId}) has subscribed");

    Say($"Training a classifier on Fashion-MNIST, {epochs} epochs, through the queue");
    var training = await main.UntilCompleted(customer, await main.SubmitTraining(customer, epochs), Progress());
    var accuracy = MainJob.ExactDecimal(training["metrics"]?["test_accuracy"]);
    Say($"Trained: test accuracy {accuracy:0.0000}");
    MainJob.Expect(accuracy >= accuracyMin, $"The test accuracy {accuracy} is below {accuracyMin}.");

    Say($"Classifying {inferenceSamples} test images in calls of {inferenceBatch}");
    var inferenceId = await main.SubmitInference(customer, (string)training["job_id"]!, inferenceSamples, inferenceBatch);
    var inference = await main.UntilCompleted(customer, inferenceId, Progress());
    Say($"Classified: accuracy {MainJob.ExactDecimal(inference["metrics"]?["accuracy"]):0.0000}");

    Say("Waiting for the signed usage of both jobs in the ledger");
    var trained = await main.UntilLedgerHolds(
        customer, training, attempts => attempts.Sum(attempt => attempt.Samples) == epochs * MainJob.TrainingImages);
    var classified = await main.UntilLedgerHolds(
        customer, inference, attempts => attempts.Sum(attempt => attempt.InferenceCalls) == inferenceSamples / inferenceBatch);
    VerifiedAttempts(trained, "training");
    VerifiedAttempts(classified, "inference");

    Say("Closing the billing period");
    var invoice = await main.ClosePeriod(customer);
    MainJob.CheckInvoice(invoice, [.. trained, .. classified]);
    Console.WriteLine();
    Console.WriteLine(InvoiceTable.Of(invoice));
    Console.WriteLine();
    Console.WriteLine("Every line equals the signed batches times the plan's price.");
    Console.WriteLine($"{await main.ProveUsage(customer, invoice)} usage events are proved offline by the invoice's Merkle root.");

    var portal = await main.PortalInvoice(customer, invoice);
    MainJob.Expect(
        JsonNode.DeepEquals(portal, invoice), $"The portal shows another invoice:\n{portal.ToJsonString()}\nthan was closed:\n{invoice.ToJsonString()}");
    Console.WriteLine();
    Console.WriteLine($"From the portal API, with the tenant's viewer key (GET /v1/invoices/{invoice["invoice_id"]}):");
    Console.WriteLine();
    Console.WriteLine(InvoiceTable.Of(portal));
    Console.WriteLine();
    Console.WriteLine("The portal's invoice is identical.");
    return 0;
}
catch (Exception error) when (error is NotAsItShouldBeException or RefusedException or TimeoutException)
{
    Console.Error.WriteLine($"Not as it should be: {error.Message}");
    return 1;
}

static void Say(string text) => Console.WriteLine($"{TimeProvider.System.GetLocalNow():HH:mm:ss}  {text}");

static void VerifiedAttempts(IReadOnlyList<VerifiedAttempt> attempts, string what) =>
    Say($"Usage chain of the {what} verified offline: {attempts.Sum(it => it.Batches.Count)} batches of {attempts.Count} attempt(s), "
        + $"signatures and links are right, {attempts.Sum(it => it.GpuMilliseconds):#,0.###} GPU milliseconds");

// Says what changed, and every ten seconds that it still runs.
static Action<JsonNode> Progress()
{
    string? last = null;
    var said = Stopwatch.GetTimestamp();
    return job =>
    {
        var message = (string?)job["progress"]?["message"];
        var now = $"  {job["status"]}{(message is null ? "" : $": {message}")}";
        if (now == last && Stopwatch.GetElapsedTime(said) < TimeSpan.FromSeconds(10))
            return;
        last = now;
        said = Stopwatch.GetTimestamp();
        Say(now);
    };
}

// A key is shown once by the platform; here it stays for the reader's own walk.
void Keep(string name, string key)
{
    var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
    if (!OperatingSystem.IsWindows())
        options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    using var file = new StreamWriter(Path.Combine(args[2], name), options);
    file.Write(key);
}
