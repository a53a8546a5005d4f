using System.Text.Json;
using Platform.Billing.Tenants;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>An event as it was sent, and everything that is wrong with it.</summary>
/// <param name="Source">As far as it could be read.</param>
public sealed record ReportedOutcome(string? Source, string? Id, UsageOutcome? Outcome, IReadOnlyList<UsageFault> Faults);

/// <summary>Reads reported events, checks them against the meters, and takes what is right.</summary>
public sealed class ReportedUsage(UsageIntake intake, ReportedMeters meters, TenantClock clock, UsageLimits limits)
{
    private static readonly JsonDocumentOptions strict = new() { AllowDuplicateProperties = false, MaxDepth = 8 };

    /// <exception cref="JsonException">It is no JSON, or names a field twice.</exception>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json) => JsonDocument.Parse(json, strict);

    /// <returns>One per event, in order. What was right is in the ledger.</returns>
    public async Task<IReadOnlyList<ReportedOutcome>> Take(
        IReadOnlyList<JsonElement> reported, Caller caller, CancellationToken cancellation)
    {
        // 1 read all, 2 check all against the meters, 3 take what is right in one transaction
        var read = reported.Select(json => UsageEventReader.Read(json, caller.TenantId)).ToList();
        var known = await meters.Of(read.Select(it => it.Event?.Type).OfType<string>(), cancellation);
        var now = await clock.Now(caller.TenantId, cancellation);
        var faults = read
            .Select(it => it.Event is { } readable ? UsageEventReader.Check(readable, known, now, limits) : it.Faults)
            .ToList();

        var taken = read.Zip(faults).Where(it => it.Second.Count == 0).Select(it => it.First.Event!).ToList();
        var outcomes = taken.Count == 0 ? [] : await intake.Take(
            new(caller.TenantId.Value, taken, AttemptId: null, caller.Cause.Actor!) { Meters = known }, cancellation);

        var next = 0;
        return [.. read.Select((it, index) => faults[index].Count == 0
            ? new ReportedOutcome(it.Event!.Source, it.Event.Id, outcomes[next++], [])
            : new ReportedOutcome(TextOf(reported[index], "source"), TextOf(reported[index], "id"), Outcome: null, faults[index]))];
    }

    private static string? TextOf(JsonElement json, string member)
    {
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty(member, out var value) || value.ValueKind != JsonValueKind.String)
            return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;    // half a surrogate pair is no text to answer with
        }
    }
}
