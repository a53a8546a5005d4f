using System.Security.Cryptography;
using System.Text;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.EventStore;

namespace Platform.Billing.ApiKeys;

/// <summary>
/// The first key, without which nobody could make another: at each start the operator's tenant and the key that
/// <c>Bootstrap:OperatorKey</c> holds exist, or come to exist. Another key there becomes another key; a revoked one stays revoked.
/// </summary>
internal sealed class BootstrapOperator(EventStore.EventStore store, IConfiguration configuration, TimeProvider clock)
    : BackgroundService
{
    private static readonly Cause Cause = new(CorrelationId: null, CausationId: null, Actor: "billing/bootstrap");

    // Before the host answers requests: the first caller must find its key.
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await Ensure(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.CompletedTask;

    private async Task Ensure(CancellationToken cancellation)
    {
        if (configuration["Bootstrap:OperatorKey"] is not { Length: > 0 } key)
            return;
        if (key.Length < 35 || !key.StartsWith("pk_", StringComparison.Ordinal))
            throw new InvalidOperationException("Bootstrap__OperatorKey is pk_ and at least 32 more characters.");

        var tenant = new RegisterTenant.Command(
            TenantId.Operator, "Operator", Currency.USD, "Etc/UTC", BillingAnchorDay: 1, clock.Now());
        await store.Decide<Tenant, TenantEvent>(
            Tenant.Stream(TenantId.Operator), state => RegisterTenant.Decide(tenant, state), Cause, cancellation,
            RegisterTenant.Publish);

        var id = new ApiKeyId(new Guid(SHA256.HashData(Encoding.UTF8.GetBytes($"bootstrap\n{key}")).AsSpan(0, 16)));
        var command = new IssueApiKey.Command(
            id, TenantId.Operator, ApiKeyScope.Operator, ApiKeyScope.Operator, "Bootstrap", ApiKeySecret.HashOf(key), Salt: "",
            clock.Now());
        await store.Decide<ApiKey, ApiKeyEvent>(
            ApiKey.Stream(TenantId.Operator, id), state => IssueApiKey.Decide(command, state), Cause, cancellation,
            events => IssueApiKey.Publish(events, sandbox: false));
    }
}
