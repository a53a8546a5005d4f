using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Payments;

/// <summary>
/// Takes the token that the gateway gave the tenant's browser for a card or account. It is charged from now on, in place of an older one.
/// </summary>
public static class AttachPaymentMethod
{
    /// <param name="Token">
    /// 1 to 200 visible characters. The sandbox's: <c>tok_success</c>, <c>tok_decline</c>, <c>tok_timeout</c>,
    /// <c>tok_timeout_decline</c>, <c>tok_pending</c>, <c>tok_refund_decline</c>, <c>tok_refund_timeout</c>, <c>tok_refund_pending</c>.
    /// </param>
    public sealed record NewPaymentMethod(string Token);

    public sealed record Command(PaymentMethodId PaymentMethodId, TenantId TenantId, string Gateway, string Token, Instant At);

    public static Decision<PaymentMethodEvent> Decide(Command command, PaymentMethod method) =>
        method.Status == PaymentMethodStatus.Missing
            ? [new PaymentMethodAttached(command.PaymentMethodId, command.TenantId, command.Gateway, command.Token, command.At)]
            : [];

    public static void Map(RouteGroupBuilder methods) =>
        methods.MapPost("/", Handle).WithName(nameof(AttachPaymentMethod)).ForAdmins().Idempotent();

    /// <exception cref="InvalidRequestException">It is no token, or looks like a card's number.</exception>
    public static void Validate(NewPaymentMethod request, IPaymentGateway gateway)
    {
        var digits = request.Token.Count(char.IsAsciiDigit);
        new FieldErrors()
            .Require(
                request.Token.Length is >= 1 and <= 200 && request.Token.All(c => c is >= '!' and <= '~'), "token",
                "1 to 200 visible ASCII characters are needed.")
            .Require(
                !(digits is >= 12 and <= 19 && request.Token.All(c => char.IsAsciiDigit(c) || c == '-')), "token",
                "A card's number is never sent here; send the gateway's token.")
            .Require(gateway.Knows(request.Token), "token", "The gateway has given no such token.")
            .ThrowIfAny();
    }

    private static async Task<Created<PaymentMethodView>> Handle(
        NewPaymentMethod request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents,
        IPaymentGateway gateway, TenantClock clock, CancellationToken cancellation)
    {
        Validate(request, gateway);
        var id = new PaymentMethodId(requestId.Value);
        var command = new Command(id, caller.TenantId, gateway.Name, request.Token, await clock.Now(caller.TenantId, cancellation));
        await store.Decide<PaymentMethod, PaymentMethodEvent>(
            PaymentMethod.Stream(caller.TenantId, id), method => Decide(command, method), caller.Cause, cancellation);

        var attached = await PaymentMethodRecord.Find(documents, caller.TenantId, id, cancellation);
        return TypedResults.Created($"/v1/payment-methods/{id}", attached!.ToView());
    }
}
