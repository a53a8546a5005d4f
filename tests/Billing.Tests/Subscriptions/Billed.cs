using System.Text.Json;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Subscriptions;

/// <summary>Steps of specs that read what subscriptions brought onto invoices.</summary>
internal static class Billed
{
    /// <summary>A plan of this test's own.</summary>
    /// <param name="terms">Members that replace or join the dull ones.</param>
    public static async Task<Guid> NewPlan(this BillingHost billing, string fee, object? terms = null, params object[] charges)
    {
        var body = JsonSerializer.SerializeToNode(new
        {
            key = $"p{Guid.CreateVersion7():n}",
            display_name = "Plan",
            recurring_fee = new { amount = fee, currency = "EUR" },
            proration = "days",
            charges,
        })!.AsObject();
        foreach (var (name, value) in JsonSerializer.SerializeToNode(terms ?? new { })!.AsObject())
            body[name] = value?.DeepClone();

        var plan = await billing.Operator.Post("/v1/plans", body.ToJsonString());
        plan.Status.ShouldBe(201, plan.Text);
        return plan.Json.GetProperty("plan_id").GetGuid();
    }

    public static async Task<Guid> Start(this TestTenant tenant, object body)
    {
        var started = await tenant.Admin.Post("/v1/subscriptions", body);
        started.Status.ShouldBe(201, started.Text);
        return started.Json.GetProperty("subscription_id").GetGuid();
    }

    /// <summary>Asks for a change of the subscription and answers with it.</summary>
    public static async Task<JsonElement> Change(this TestTenant tenant, Guid subscription, string what, object? body = null)
    {
        var answer = await tenant.Admin.Post($"/v1/subscriptions/{subscription}/{what}", body ?? new { });
        answer.Status.ShouldBe(200, answer.Text);
        return answer.Json;
    }

    public static async Task<JsonElement> Subscription(this TestTenant tenant, Guid subscription) =>
        (await tenant.Viewer.Get($"/v1/subscriptions/{subscription}")).Json;

    /// <summary>The oldest first.</summary>
    public static async Task<List<JsonElement>> Invoices(this TestTenant tenant) =>
        [.. (await tenant.Viewer.Get("/v1/invoices?limit=200")).Json.GetProperty("items").EnumerateArray().Reverse()];

    public static string? Total(this JsonElement invoice) => invoice.GetProperty("total").GetProperty("amount").GetString();

    /// <summary>What each line says, times and amounts.</summary>
    public static string[] Lines(this JsonElement invoice) =>
    [
        .. invoice.GetProperty("lines").EnumerateArray().Select(line =>
            $"{line.GetProperty("description").GetString()} | {Day(line, "window_start")}..{Day(line, "window_end")} | "
            + $"{line.GetProperty("quantity").GetString()} | {line.GetProperty("amount").GetProperty("amount").GetString()}"),
    ];

    private static string Day(JsonElement line, string member) => line.GetProperty(member).GetString()![5..10];
}
