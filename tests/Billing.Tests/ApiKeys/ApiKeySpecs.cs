using Platform.Billing.ApiKeys;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.ApiKeys;

using ApiKeySpec = Spec<ApiKey, ApiKeyEvent>;

public class ApiKeySpecs
{
    private static readonly IssueApiKey.Command Issue = new(
        TheKey, TheTenant, IssuerScope: ApiKeyScope.TenantAdmin, ApiKeyScope.TenantViewer, "Dashboard", new('a', 64), new('b', 64), Noon);

    [Fact]
    public void An_admin_issues_a_key_of_its_tenant() =>
        ApiKeySpec.Given().When(key => IssueApiKey.Decide(Issue, key)).Then(KeyIssued());

    [Fact]
    public void Issuing_twice_changes_nothing() =>
        ApiKeySpec.Given(KeyIssued()).When(key => IssueApiKey.Decide(Issue, key)).ThenNothing();

    [Fact]
    public void An_admin_cannot_issue_the_operator_scope() =>
        ApiKeySpec.Given()
            .When(key => IssueApiKey.Decide(Issue with { Scope = ApiKeyScope.Operator }, key))
            .ThenRefused("api_key.scope_forbidden");

    [Fact]
    public void The_operator_scope_is_for_the_operators_tenant_alone() =>
        ApiKeySpec.Given()
            .When(key => IssueApiKey.Decide(
                Issue with { Scope = ApiKeyScope.Operator, IssuerScope = ApiKeyScope.Operator }, key))
            .ThenRefused("api_key.scope_not_for_tenant");

    [Theory]
    [InlineData(ApiKeyScope.TenantViewer)]
    [InlineData(ApiKeyScope.Partner)]
    public void Others_issue_nothing(ApiKeyScope scope) =>
        ApiKeySpec.Given()
            .When(key => IssueApiKey.Decide(Issue with { IssuerScope = scope }, key))
            .ThenRefused("api_key.forbidden");

    [Fact]
    public void A_key_is_revoked_once() =>
        ApiKeySpec.Given(KeyIssued()).When(key => RevokeApiKey.Decide(new(TheKey, Noon), key)).Then(KeyRevoked());

    [Fact]
    public void Revoking_twice_changes_nothing() =>
        ApiKeySpec.Given(KeyIssued(), KeyRevoked()).When(key => RevokeApiKey.Decide(new(TheKey, Noon), key)).ThenNothing();

    [Fact]
    public void A_key_that_was_never_issued_cannot_be_revoked() =>
        ApiKeySpec.Given().When(key => RevokeApiKey.Decide(new(TheKey, Noon), key)).ThenRefused("api_key.not_found");

    [Fact]
    public void A_secret_follows_from_issuer_salt_and_id_alone()
    {
        var secret = ApiKeySecret.Derive("pk_issuer", "salt", TheKey);

        secret.ShouldMatch("^pk_[0-9a-f]{64}$");
        ApiKeySecret.Derive("pk_issuer", "salt", TheKey).ShouldBe(secret);
        ApiKeySecret.Derive("pk_other", "salt", TheKey).ShouldNotBe(secret);
        ApiKeySecret.Derive("pk_issuer", "pepper", TheKey).ShouldNotBe(secret);
        ApiKeySecret.Derive("pk_issuer", "salt", ApiKeyId.New()).ShouldNotBe(secret);
    }
}
