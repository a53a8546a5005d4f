using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NodaTime;
using NodaTime.Text;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.Testing;

namespace Platform.Billing.Tests.Scenarios;

/// <summary>
/// A company in a sandbox, taken through time over HTTP alone. Times are written as its clocks on the wall show them: <c>2028-02-29</c> or
/// <c>2028-02-29T23:30</c>. In the end its invoices as a whole are held against the approved ones.
/// </summary>
internal sealed partial class Scenario
{
    private readonly BillingHost billing;
    private readonly TestTenant company;
    private readonly DateTimeZone zone;
    private readonly string currency;
    // The catalog is shared with all tests, whose keys are others.
    private readonly string prefix;
    private Instant now;
    private int reported;

    private Scenario(BillingHost billing, TestTenant company, DateTimeZone zone, string currency, string prefix, Instant now) =>
        (this.billing, this.company, this.zone, this.currency, this.prefix, this.now) = (billing, company, zone, currency, prefix, now);

    public static Task<Scenario> Begin(
        BillingHost billing, string at, string zone = "Etc/UTC", string currency = "EUR", int anchorDay = 1) =>
        Begin(billing, at, zone, currency, anchorDay, prefix: $"s{Guid.CreateVersion7():n}.");

    private static async Task<Scenario> Begin(
        BillingHost billing, string at, string zone, string currency, int anchorDay, string prefix)
    {
        var known = DateTimeZoneProviders.Tzdb[zone];
        var begin = Parse(at, known);
        return new(billing, await billing.NewTenant(zone, currency, anchorDay, Text(begin)), known, currency, prefix, begin);
    }

    /// <summary>Another tenant of the same company, which finds the meters and plans of this one.</summary>
    public Task<Scenario> Sister(string at, string zone, string currency) => Begin(billing, at, zone, currency, anchorDay: 1, prefix);

    public TenantId Id => company.Id;

    public Caller Admin => company.Admin;

    public Caller Operator => billing.Operator.For(company.Id);

    /// <summary>What a meter or plan of this scenario is called in the catalog.</summary>
    public string Key(string name) => prefix + name.ToLowerInvariant();

    /// <summary>A meter of usage events of its own, which measures <c>value</c> of their data.</summary>
    /// <returns>Its key, for charges.</returns>
    public async Task<string> Meter(string name, string aggregation = "sum", string unit = "unit", object? also = null)
    {
        await Post(
            billing.Operator, "/v1/meters",
            new { key = Key(name), display_name = name, event_type = Key(name), aggregation, unit, value_property = "value" }, also);
        return Key(name);
    }

    /// <param name="fee">In the company's currency, for each period.</param>
    /// <param name="also">Further members of the plan.</param>
    public async Task<Guid> Plan(string name, string fee, object[] charges, string proration = "days", object? also = null)
    {
        var plan = await Post(
            billing.Operator, "/v1/plans",
            new { key = Key(name), display_name = name, recurring_fee = new { amount = fee, currency }, proration, charges }, also);
        return plan.GetProperty("plan_id").GetGuid();
    }

    /// <returns>The subscription's id.</returns>
    public async Task<Guid> Subscribe(Guid plan, object? also = null) =>
        (await Post(Admin, "/v1/subscriptions", new { plan_id = plan }, also)).GetProperty("subscription_id").GetGuid();

    /// <summary>Reports usage of a meter's own type.</summary>
    /// <param name="at">When it was used, which need not be now.</param>
    /// <param name="also">Further members of its data.</param>
    /// <returns>The event's id, for corrections.</returns>
    public async Task<string> Use(string meter, string quantity, string? at = null, params (string Name, string Value)[] also)
    {
        var id = $"{++reported}";
        await Post(
            company.Partner, "/v1/usage/events",
            new
            {
                id,
                source = "scenario",
                type = Key(meter),
                time = Text(at is null ? now : Parse(at, zone)),
                data = also.Append((Name: "value", Value: quantity)).ToDictionary(member => member.Name, member => member.Value),
            });
        return id;
    }

    public Task Void(string usageEvent) => Post(
        Admin, "/v1/usage/corrections", new { kind = "void", source = "scenario", id = usageEvent, reason = "Reported by mistake." });

    /// <summary>Lets time pass; everything that is due on the way is done.</summary>
    public async Task AdvanceTo(string at)
    {
        now = Parse(at, zone);
        await Post(Admin, $"/v1/test-clocks/{company.Id}/advance", new { to = Text(now) });
    }

    /// <summary>Anything else that somebody asks for, and gets.</summary>
    /// <param name="also">Members that are added to the body's.</param>
    public static async Task<JsonElement> Post(Caller caller, string path, object? body = null, object? also = null)
    {
        var sent = JsonSerializer.SerializeToNode(body ?? new { })!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(also ?? new { })!.AsObject())
            sent[name] = value?.DeepClone();
        var answer = await caller.Post(path, sent.ToJsonString());
        answer.Status.ShouldBeInRange(200, 299, $"{path}: {answer.Text}");
        return answer.Text.Length == 0 ? default : answer.Json;
    }

    /// <summary>Says how the company is taxed, as operators do.</summary>
    public async Task Taxed(object profile)
    {
        var answer = await billing.Operator.Put($"/v1/tenants/{Id}/tax-profile", profile);
        answer.Status.ShouldBe(200, answer.Text);
    }

    /// <summary>Holds all the company's invoices, oldest first, against the file named as the test is.</summary>
    /// <param name="alsoPaths">What else is part of the outcome: a wallet, payments.</param>
    public async Task Approved(string[]? alsoPaths = null, [CallerMemberName] string name = "")
    {
        var list = await company.Viewer.Get("/v1/invoices?limit=200");
        list.Status.ShouldBe(200, list.Text);
        var outcome = new JsonObject
        {
            ["invoices"] = new JsonArray(
                [.. list.Json.GetProperty("items").EnumerateArray().Reverse().Select(it => JsonNode.Parse(it.GetRawText()))]),
        };
        foreach (var path in alsoPaths ?? [])
        {
            var also = await company.Viewer.Get(path);
            also.Status.ShouldBe(200, also.Text);
            outcome[path] = JsonNode.Parse(also.Text);
            // The host's clock stands still, so ids of what was made one after the other are of one moment and in no order.
            if (outcome[path] is JsonObject answer && answer["items"] is JsonArray items && items.All(item => item!["number"]?.GetValueKind() == JsonValueKind.String))
                answer["items"] = new JsonArray([.. items.OrderBy(item => (string?)item!["number"], StringComparer.Ordinal).Select(item => item!.DeepClone())]);
        }

        Approve.Text(Scrubbed(outcome) + "\n", $"{name}.json");
    }

    // Ids are new in each run, and with them the hash over the usage.
    private string Scrubbed(JsonObject outcome)
    {
        var text = Pretty.Json(JsonSerializer.SerializeToElement(outcome))
            .Replace(prefix, "", StringComparison.Ordinal)
            .Replace(prefix.Replace('.', '-'), "", StringComparison.OrdinalIgnoreCase);
        var ids = new Dictionary<string, string>();
        text = Uuid().Replace(text, id => ids.TryGetValue(id.Value, out var known) ? known : ids[id.Value] = $"(id {ids.Count + 1})");
        return Hash().Replace(text, "(hash)");
    }

    private static Instant Parse(string at, DateTimeZone zone)
    {
        var local = at.Contains('T', StringComparison.Ordinal)
            ? LocalDateTimePattern.CreateWithInvariantCulture("uuuu-MM-dd'T'HH:mm").Parse(at).Value
            : LocalDatePattern.Iso.Parse(at).Value.AtMidnight();
        return zone.AtLeniently(local).ToInstant();
    }

    private static string Text(Instant at) => InstantPattern.ExtendedIso.Format(at);

    [GeneratedRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")]
    private static partial Regex Uuid();

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex Hash();
}
