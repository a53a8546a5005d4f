using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Verification;

// Says whether an invoice counts a usage event, by three files and no network: ends with 0 where it does, with 1 and the reason where it
// does not.
if (args is not [var eventFile, var proofFile, var invoiceFile])
{
    Console.Error.WriteLine("usage: Platform.VerifyUsage <event.json> <proof.json> <invoice.json>");
    return 1;
}

try
{
    var reported = Read<ReportedUsage>(eventFile);
    var proof = Read<UsageProof>(proofFile);
    var invoice = Read<ProvingInvoice>(invoiceFile);
    if (proof.Verify(reported, invoice) is { } fault)
        return Fail($"{fault.Code}: {fault.Problem}");

    var place = $"one of {proof.TreeSize}, in the hour of {proof.Part.Hour}";
    Console.WriteLine($"Verified: invoice {invoice.Number} counts event {reported.Id} of {reported.Source} as {place}.");
    Console.WriteLine(proof.BilledBefore ? "Reported, on an earlier invoice:" : "Reported:");
    Say(reported.Data);
    foreach (var correction in proof.Corrections)
    {
        var what = correction.After is null ? "Voided" : "Amended";
        Console.WriteLine($"{what} at {correction.At} by {correction.Actor}: {correction.Reason}");
        Say(correction.After ?? new Dictionary<string, string>());
    }

    return 0;
}
catch (Exception error) when (error is IOException or UnauthorizedAccessException or JsonException)
{
    return Fail(error.Message);
}

T Read<T>(string file)
{
    try
    {
        return JsonSerializer.Deserialize<T>(File.ReadAllBytes(file), ContractsJson.Strict) ?? throw new JsonException("null");
    }
    catch (JsonException error)
    {
        throw new JsonException($"{file} cannot be read: {error.Message}");
    }
}

static void Say(IEnumerable<KeyValuePair<string, string>> data)
{
    foreach (var (name, value) in data)
        Console.WriteLine($"  {name} = {value}");
}

static int Fail(string reason)
{
    Console.WriteLine($"Not verified: {reason}");
    return 1;
}
