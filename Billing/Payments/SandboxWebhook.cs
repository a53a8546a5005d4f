using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>
/// The sandbox gateway tells how a charge or a refund ended. A repetition, and what is known already, change nothing. A payment or refund
/// that does not exist is a 404: none is asked for before it is recorded, so it was never ours.
/// </summary>
public static class SandboxWebhook
{
    private const int BodyBytesMax = 64 * 1024;

    private static readonly Duration AgeMax = Duration.FromMinutes(5);

    /// <param name="PaymentId">The charge; absent for a refund.</param>
    /// <param name="RefundId">The refund; absent for a charge.</param>
    /// <param name="Code">Why it was declined; absent else.</param>
    public sealed record GatewayEvent(
        ChargeOutcome Outcome, PaymentId? PaymentId = null, RefundId? RefundId = null, string? Code = null);

    /// <param name="WebhookSecret">Shared with the gateway; without one every webhook is refused.</param>
    public sealed record Settings(string? WebhookSecret)
    {
        public static Settings From(IConfiguration configuration) => new(configuration["Payments:SandboxWebhookSecret"]);
    }

    /// <summary>What <c>Platform-Signature</c> must be: <c>t=seconds,v1=</c> and the HMAC-SHA256 of "seconds.body", hexadecimal.</summary>
    public static string Sign(string secret, long unixSeconds, ReadOnlySpan<byte> body)
    {
        var time = unixSeconds.ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes($"{time}."), .. body];
        return $"t={time},v1={Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), signed))}";
    }

    /// <summary>Signed with the secret, and not so long ago that it could be somebody's copy.</summary>
    public static bool IsGenuine(string? secret, string? signature, ReadOnlySpan<byte> body, Instant now)
    {
        if (string.IsNullOrEmpty(secret) || signature?.Split(',') is not [['t', '=', .. var time], _]
            || !long.TryParse(time, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            return false;
        }

        // Compared as text, in the same time wherever they differ.
        var expected = Encoding.UTF8.GetBytes(Sign(secret, seconds, body));
        var age = now.ToUnixTimeSeconds() - seconds;
        return CryptographicOperations.FixedTimeEquals(expected, Encoding.UTF8.GetBytes(signature))
            && Math.Abs(age) <= (long)AgeMax.TotalSeconds;
    }

    public static void Map(RouteGroupBuilder webhooks) =>
        webhooks.MapPost("/sandbox", Handle).WithName(nameof(SandboxWebhook)).AllowAnonymous()
            .Accepts<GatewayEvent>("application/json");

    private static async Task<Results<NoContent, ProblemHttpResult>> Handle(
        HttpRequest request, [FromHeader(Name = "Platform-Signature")] string? signature, Settings settings, BillingDatabase database,
        ChargePayment charge, MakeRefund refund, TimeProvider clock, CancellationToken cancellation)
    {
        var body = await Body(request, cancellation);
        if (body is null || !IsGenuine(settings.WebhookSecret, signature, body, clock.Now()))
        {
            return Problems.Problem(
                StatusCodes.Status401Unauthorized, "webhook.signature_invalid", "The webhook is not signed by the gateway.");
        }

        var told = JsonSerializer.Deserialize(body, Stored.Json<GatewayEvent>())
            ?? throw new InvalidRequestException("body", "An event is needed.");
        if (told.Outcome == ChargeOutcome.Pending)
            throw new InvalidRequestException("outcome", "succeeded or declined.");
        if (told.Code is { } code && (code.Length > 200 || code.Any(char.IsControl)))
            throw new InvalidRequestException("code", "At most 200 characters, none of control.");

        var (answer, cause) = (new GatewayAnswer(told.Outcome, told.Code), new Cause(null, null, "billing/sandbox-webhook"));
        switch (told)
        {
            case { PaymentId: { } id, RefundId: null }:
                if (await Find("select tenant_id, id from billing.payments where id = $1", id.Value) is not { } paid)
                    return Problems.NotFound("payment");
                await charge.Record(paid.Tenant, id, answer, cause, cancellation);
                return TypedResults.NoContent();

            case { PaymentId: null, RefundId: { } id }:
                var find = $"select tenant_id, (data ->> 'payment_id')::uuid from billing.{RefundView.Table} where id = $1";
                if (await Find(find, id.Value) is not { } refunded)
                    return Problems.NotFound("refund");
                await refund.Record(refunded.Tenant, refunded.Payment, id, answer, cause, cancellation);
                return TypedResults.NoContent();

            default:
                throw new InvalidRequestException("payment_id", "Either a payment or a refund is told of.");
        }

        async Task<(TenantId Tenant, PaymentId Payment)?> Find(string sql, Guid id) => await database.ReadAllTenants(
            sql, row => (new TenantId(row.GetGuid(0)), new PaymentId(row.GetGuid(1))), cancellation, Sql.P(id)) is [var found] ? found : null;
    }

    // Null where it is longer than any event: nobody has signed yet, so nobody may fill the memory.
    private static async Task<byte[]?> Body(HttpRequest request, CancellationToken cancellation)
    {
        var buffer = new byte[BodyBytesMax];
        var length = await request.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation);
        return length < buffer.Length ? buffer[..length] : null;
    }
}
