using Platform.Billing.ApiKeys;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Tenants;

using TenantSpec = Spec<Tenant, TenantEvent>;

public class RegisterTenantSpecs
{
    private static readonly RegisterTenant.Command Register =
        new(TheTenant, "Acme", Currency.EUR, "Europe/Berlin", BillingAnchorDay: 31, Noon);

    [Fact]
    public void A_new_tenant_is_registered() =>
        TenantSpec.Given().When(tenant => RegisterTenant.Decide(Register, tenant)).Then(TenantRegistered());

    [Fact]
    public void A_sandbox_has_a_clock() =>
        TenantSpec.Given().When(tenant => RegisterTenant.Decide(Register with { Clock = FirstOfMarch }, tenant))
            .Then(TenantRegistered() with { Clock = FirstOfMarch });

    [Fact]
    public void Registering_twice_changes_nothing() =>
        TenantSpec.Given(TenantRegistered()).When(tenant => RegisterTenant.Decide(Register, tenant)).ThenNothing();

    [Fact]
    public void Other_processes_learn_of_it() =>
        RegisterTenant.Publish([TenantRegistered()]).ShouldBe(
            [new Contracts.Messages.TenantRegistered(TheTenant, "Acme", Currency.EUR, "Europe/Berlin", Noon)]);

    [Fact]
    public void Other_processes_learn_that_a_tenant_is_a_sandbox_from_it_and_from_its_keys()
    {
        RegisterTenant.Publish([TenantRegistered() with { Clock = FirstOfMarch }])
            .ShouldHaveSingleItem().ShouldBeOfType<Contracts.Messages.TenantRegistered>().Sandbox.ShouldBeTrue();
        IssueApiKey.Publish([KeyIssued()], sandbox: true)
            .ShouldHaveSingleItem().ShouldBeOfType<Contracts.Messages.ApiKeyIssued>().Sandbox.ShouldBeTrue();
    }
}
