using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Billing.Tests.Http;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Tests.Payments;

/// <summary>The process ends while it waits for the gateway, which did what it was asked or did not hear of it.</summary>
internal sealed class CrashingGateway(IPaymentGateway gateway, bool heard) : IPaymentGateway
{
    public string Name => gateway.Name;

    public static ChargePayment Charge(BillingHost billing, bool heard)
    {
        var services = billing.Services;
        return new(
            services.GetRequiredService<EventStore.EventStore>(), services.GetRequiredService<Documents>(),
            new CrashingGateway(services.GetRequiredService<IPaymentGateway>(), heard), services.GetRequiredService<TenantClock>(),
            NullLogger<ChargePayment>.Instance);
    }

    public static MakeRefund Refund(BillingHost billing, bool heard)
    {
        var services = billing.Services;
        return new(
            services.GetRequiredService<EventStore.EventStore>(),
            new CrashingGateway(services.GetRequiredService<IPaymentGateway>(), heard), services.GetRequiredService<TenantClock>(),
            NullLogger<MakeRefund>.Instance);
    }

    public bool Knows(string token) => gateway.Knows(token);

    public async Task<GatewayAnswer> Charge(PaymentId payment, string token, Money amount, CancellationToken cancellation)
    {
        if (heard)
            await gateway.Charge(payment, token, amount, cancellation);
        throw new OperationCanceledException("The process ends here.");
    }

    public Task<GatewayAnswer?> Find(PaymentId payment, CancellationToken cancellation) => gateway.Find(payment, cancellation);

    public async Task<GatewayAnswer> Refund(RefundId refund, PaymentId payment, Money amount, CancellationToken cancellation)
    {
        if (heard)
            await gateway.Refund(refund, payment, amount, cancellation);
        throw new OperationCanceledException("The process ends here.");
    }

    public Task<GatewayAnswer?> FindRefund(RefundId refund, CancellationToken cancellation) => gateway.FindRefund(refund, cancellation);
}
