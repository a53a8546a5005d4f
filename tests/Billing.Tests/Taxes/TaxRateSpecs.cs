using NodaTime;
using Platform.Billing.Taxes;
using Platform.Billing.Tests.Http;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Taxes;

using ProfileSpec = Spec<TaxProfile, TaxProfileEvent>;
using RateSpec = Spec<TaxRate, TaxRateEvent>;

public sealed class TaxRateSpecs(BillingHost billing)
{
    [Fact]
    public void A_rate_is_published_once_and_archived_once()
    {
        var publish = new PublishTaxRate.Command(TheTaxRate, TaxRatePublished().Terms, DayTaken: false, Noon);

        RateSpec.Given().When(rate => PublishTaxRate.Decide(publish, rate)).Then(TaxRatePublished());
        RateSpec.Given(TaxRatePublished()).When(rate => PublishTaxRate.Decide(publish, rate)).ThenNothing();
        RateSpec.Given().When(rate => PublishTaxRate.Decide(publish with { DayTaken = true }, rate)).ThenRefused("tax_rate.day_taken");
        RateSpec.Given(TaxRatePublished())
            .When(rate => ArchiveTaxRate.Decide(new(TheTaxRate, Noon), rate))
            .Then(new TaxRateArchived(TheTaxRate, Noon));
        RateSpec.Given(TaxRatePublished(), new TaxRateArchived(TheTaxRate, Noon))
            .When(rate => ArchiveTaxRate.Decide(new(TheTaxRate, Noon), rate))
            .ThenNothing();
        RateSpec.Given().When(rate => ArchiveTaxRate.Decide(new(TheTaxRate, Noon), rate)).ThenRefused("tax_rate.not_found");
    }

    [Fact]
    public void A_profile_names_a_jurisdiction_that_has_rates_and_the_tax_id_that_a_reverse_charge_needs()
    {
        var terms = TaxProfileSet().Terms;

        ProfileSpec.Given().When(profile => SetTaxProfile.Decide(new(terms, true, Noon), profile)).Then(TaxProfileSet());
        ProfileSpec.Given(TaxProfileSet()).When(profile => SetTaxProfile.Decide(new(terms, true, Noon), profile)).ThenNothing();
        ProfileSpec.Given()
            .When(profile => SetTaxProfile.Decide(new(terms, JurisdictionRated: false, Noon), profile))
            .ThenRefused("tax_profile.jurisdiction_unrated");
        ProfileSpec.Given()
            .When(profile => SetTaxProfile.Decide(
                new(terms with { Treatment = TaxTreatment.ReverseCharge, TaxId = null }, true, Noon), profile))
            .ThenRefused("tax_profile.tax_id_missing");
    }

    [Fact]
    public void What_was_set_before_is_known_of_its_time()
    {
        var view = new TaxProfileView(
            new("FR", null, TaxTreatment.Taxable, null), FirstOfMarch, [new(new("DE", null, TaxTreatment.Taxable, null), FirstOfFebruary)]);

        view.KnownAt(FirstOfJanuary).ShouldBeNull();
        view.KnownAt(FirstOfFebruary)!.Jurisdiction.ShouldBe("DE");
        view.KnownAt(FirstOfMarch)!.Jurisdiction.ShouldBe("FR");
    }

    [Fact]
    public async Task A_wrong_rate_is_archived_and_its_day_is_free_for_the_right_one()
    {
        var body = new { jurisdiction = "FR", rate = "0.02", valid_from = "2026-01-01" };
        var wrong = await billing.Operator.Post("/v1/tax-rates", body);
        wrong.Status.ShouldBe(201, wrong.Text);
        wrong.Json.GetProperty("category").GetString().ShouldBe("standard");
        (await billing.Operator.Post("/v1/tax-rates", body)).Code.ShouldBe("tax_rate.day_taken");

        (await billing.Operator.Post($"/v1/tax-rates/{wrong.Json.GetProperty("tax_rate_id").GetGuid()}/archive")).Status.ShouldBe(200);
        (await billing.Operator.Post("/v1/tax-rates", body with { rate = "0.2" })).Status.ShouldBe(201);

        var tenant = await billing.NewTenant();
        (await tenant.Viewer.Get("/v1/tax-rates?jurisdiction=FR")).Json.GetProperty("items").GetArrayLength().ShouldBe(2);
    }

    [Fact]
    public async Task A_tenant_is_taxed_as_the_operator_says_and_reads_it()
    {
        await billing.Operator.Post("/v1/tax-rates", new { jurisdiction = "NL", rate = "0.21", valid_from = "2026-01-01" });
        var tenant = await billing.NewTenant();
        var path = $"/v1/tenants/{tenant.Id}/tax-profile";
        (await tenant.Viewer.Get(path)).Status.ShouldBe(404);

        var set = await billing.Operator.Put(path, new { jurisdiction = "NL", tax_id = "NL1" });
        set.Status.ShouldBe(200, set.Text);
        (await billing.Operator.Put(path, new { jurisdiction = "NL", tax_id = "NL2", treatment = "reverse_charge" })).Status.ShouldBe(200);

        var profile = (await tenant.Viewer.Get(path)).Json;
        profile.GetProperty("profile").GetProperty("treatment").GetString().ShouldBe("reverse_charge");
        profile.GetProperty("earlier")[0].GetProperty("profile").GetProperty("tax_id").GetString().ShouldBe("NL1");
        (await tenant.Admin.Put(path, new { jurisdiction = "NL" })).Status.ShouldBe(403);
        (await (await billing.NewTenant()).Viewer.Get(path)).Status.ShouldBe(404);
    }

    [Theory]
    [InlineData("""{"jurisdiction":"Germany","rate":"0.19","valid_from":"2026-01-01"}""", "jurisdiction")]
    [InlineData("""{"jurisdiction":"DE","rate":"19","valid_from":"2026-01-01"}""", "rate")]
    [InlineData("""{"jurisdiction":"DE","rate":0.19,"valid_from":"2026-01-01"}""", "rate")]
    [InlineData("""{"jurisdiction":"DE","rate":"0.19"}""", "valid_from")]
    [InlineData("""{"jurisdiction":"DE","rate":"0.19","valid_from":"yesterday"}""", "valid_from")]
    [InlineData("""{"jurisdiction":"DE","rate":"0.19","valid_from":"2026-01-01","valid_until":"2026-01-01"}""", "valid_until")]
    [InlineData("""{"jurisdiction":"DE","rate":"0.19","valid_from":"2026-01-01","category":"No Such"}""", "category")]
    public async Task A_rate_that_makes_no_sense_is_refused_by_its_field(string body, string field)
    {
        var answer = await billing.Operator.Post("/v1/tax-rates", body);

        answer.Status.ShouldBe(400, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
    }

    [Theory]
    [InlineData("""{"jurisdiction":"Germany"}""", 400, "jurisdiction")]
    [InlineData("""{"jurisdiction":"ZZ"}""", 422, "jurisdiction")]
    [InlineData("""{"jurisdiction":"ZZ","treatment":"reverse_charge"}""", 422, "tax_id")]
    [InlineData("""{"jurisdiction":"ZZ","treatment":"evaded"}""", 400, "treatment")]
    [InlineData("""{"jurisdiction":"ZZ","tax_id":""}""", 400, "tax_id")]
    public async Task A_profile_that_makes_no_sense_is_refused_by_its_field(string body, int status, string field)
    {
        var tenant = await billing.NewTenant();

        var answer = await billing.Operator.Put($"/v1/tenants/{tenant.Id}/tax-profile", body);

        answer.Status.ShouldBe(status, answer.Text);
        answer.Fields.ShouldContain(field, answer.Text);
    }
}
