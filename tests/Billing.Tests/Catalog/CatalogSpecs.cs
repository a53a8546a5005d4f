using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Catalog;

using MeterSpec = Spec<Meter, MeterEvent>;
using PlanSpec = Spec<Plan, PlanEvent>;
using ProductSpec = Spec<Product, ProductEvent>;

public class CatalogSpecs
{
    private static readonly DefineMeter.Command Define = new(
        TheMeter, new("gpu-time", "GPU time", "gpu.time", Aggregation.Sum, "millisecond", "milliseconds"), KeyTaken: false, Noon);

    private static readonly PublishPlan.Command Publish = new(
        ThePlan, "standard", KeyTaken: false, Terms(), Entitlements: null, ProductId: null, KnownMeters: ["gpu-time", "inference-calls"], Noon);

    private static readonly PublishPlan.Command PublishVersion = Publish with { Key = null, Terms = Terms(feeCents: 120_00) };

    [Fact]
    public void A_meter_is_defined_once()
    {
        MeterSpec.Given().When(meter => DefineMeter.Decide(Define, meter)).Then(MeterDefined());
        MeterSpec.Given(MeterDefined()).When(meter => DefineMeter.Decide(Define, meter)).ThenNothing();
    }

    [Fact]
    public void Two_meters_cannot_have_one_key() =>
        MeterSpec.Given().When(meter => DefineMeter.Decide(Define with { KeyTaken = true }, meter)).ThenRefused("meter.key_taken");

    [Fact]
    public void A_product_is_defined_once_and_its_key_is_its_own()
    {
        var define = new DefineProduct.Command(
            TheProduct, new("inference", "Inference", Business.ModelServices), KeyTaken: false, Noon);

        ProductSpec.Given().When(product => DefineProduct.Decide(define, product)).Then(ProductDefined());
        ProductSpec.Given(ProductDefined()).When(product => DefineProduct.Decide(define, product)).ThenNothing();
        ProductSpec.Given().When(product => DefineProduct.Decide(define with { KeyTaken = true }, product)).ThenRefused("product.key_taken");
    }

    [Fact]
    public void Another_product_is_another_version_of_the_plan() =>
        PlanSpec.Given(PlanPublished())
            .When(plan => PublishPlan.Decide(PublishVersion with { Terms = Terms(), ProductId = TheProduct }, plan))
            .Then(PlanPublished(version: 2) with { ProductId = TheProduct });

    [Fact]
    public void A_plan_begins_with_version_1() =>
        PlanSpec.Given().When(plan => PublishPlan.Decide(Publish, plan)).Then(PlanPublished());

    [Fact]
    public void The_next_version_keeps_the_key() =>
        PlanSpec.Given(PlanPublished())
            .When(plan => PublishPlan.Decide(PublishVersion, plan))
            .Then(PlanPublished(version: 2, Terms(feeCents: 120_00)));

    [Fact]
    public void The_same_terms_again_are_no_new_version() =>
        PlanSpec.Given(PlanPublished())
            .When(plan => PublishPlan.Decide(PublishVersion with { Terms = Terms() }, plan))
            .ThenNothing();

    [Fact]
    public void A_charge_for_an_unknown_meter_is_refused_by_its_place()
    {
        var decision = PublishPlan.Decide(Publish with { KnownMeters = ["gpu-time"] }, Plan.Initial);

        decision.Refusal!.Code.ShouldBe("plan.meter_unknown");
        decision.Refusal.Field.ShouldBe("charges[1].meter");
    }

    [Fact]
    public void All_versions_are_in_one_currency() =>
        PlanSpec.Given(PlanPublished())
            .When(plan => PublishPlan.Decide(
                PublishVersion with { Terms = new("US", Currency.USD, new(1, Currency.USD), Proration.None, []) }, plan))
            .ThenRefused("plan.currency_fixed");

    [Fact]
    public void There_is_no_version_of_a_plan_that_does_not_exist() =>
        PlanSpec.Given().When(plan => PublishPlan.Decide(PublishVersion, plan)).ThenRefused("plan.not_found");

    [Fact]
    public void Two_plans_cannot_have_one_key() =>
        PlanSpec.Given().When(plan => PublishPlan.Decide(Publish with { KeyTaken = true }, plan)).ThenRefused("plan.key_taken");
}
