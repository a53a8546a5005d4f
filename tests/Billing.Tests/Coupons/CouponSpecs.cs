using NodaTime;
using Platform.Billing.Coupons;
using Platform.Contracts;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.Coupons;

using CouponSpec = Spec<Coupon, CouponEvent>;
using RedemptionSpec = Spec<CouponRedemption, CouponRedemptionEvent>;

public class CouponSpecs
{
    private static readonly CreateCoupon.Command Create = new(
        TheCoupon, CouponTerms(), CodeTaken: false, PlansUnknown: [], ProductsUnknown: [], Noon);

    private static readonly RedeemCoupon.Command Redeem = new(
        TheRedemption, new CouponRecord(TheCoupon, CouponTerms(), FirstOfJanuary, ArchivedAt: null), TheSubscription, Currency.EUR,
        SubscriptionKnown: true, AlreadyRedeemed: false, FirstOfJanuary);

    [Fact]
    public void A_coupon_is_created_with_its_terms() =>
        CouponSpec.Given().When(coupon => CreateCoupon.Decide(Create, coupon)).Then(CouponCreated(CouponTerms()));

    [Fact]
    public void Creating_twice_changes_nothing() =>
        CouponSpec.Given(CouponCreated()).When(coupon => CreateCoupon.Decide(Create, coupon)).ThenNothing();

    [Fact]
    public void A_code_names_one_coupon() =>
        CouponSpec.Given().When(coupon => CreateCoupon.Decide(Create with { CodeTaken = true }, coupon)).ThenRefused("coupon.code_taken");

    [Fact]
    public void A_coupon_names_plans_that_exist() =>
        CouponSpec.Given()
            .When(coupon => CreateCoupon.Decide(Create with { PlansUnknown = [ThePlan] }, coupon))
            .ThenRefused("coupon.plan_unknown");

    [Fact]
    public void A_coupon_names_products_that_exist() =>
        CouponSpec.Given()
            .When(coupon => CreateCoupon.Decide(Create with { ProductsUnknown = [TheProduct] }, coupon))
            .ThenRefused("coupon.product_unknown");

    [Fact]
    public void A_coupon_is_archived_once()
    {
        CouponSpec.Given(CouponCreated())
            .When(coupon => ArchiveCoupon.Decide(new(TheCoupon, Noon), coupon))
            .Then(new CouponArchived(TheCoupon, Noon));
        CouponSpec.Given(CouponCreated(), new CouponArchived(TheCoupon, Noon))
            .When(coupon => ArchiveCoupon.Decide(new(TheCoupon, Noon), coupon))
            .ThenNothing();
        CouponSpec.Given()
            .When(coupon => ArchiveCoupon.Decide(new(TheCoupon, Noon), coupon))
            .ThenRefused("coupon.not_found");
    }

    [Fact]
    public void A_redemption_keeps_what_the_coupon_promised() =>
        RedemptionSpec.Given().When(redemption => RedeemCoupon.Decide(Redeem, redemption)).Then(CouponRedeemed());

    [Fact]
    public void Redeeming_twice_changes_nothing() =>
        RedemptionSpec.Given(CouponRedeemed())
            .When(redemption => RedeemCoupon.Decide(Redeem with { AlreadyRedeemed = true }, redemption))
            .ThenNothing();

    public static TheoryData<string, RedeemCoupon.Command> Refused => new()
    {
        { "coupon.unknown", Redeem with { Coupon = null } },
        { "coupon.expired", Redeem with { At = FirstOfMarch } },
        { "coupon.expired", Redeem with { Coupon = Redeem.Coupon! with { ArchivedAt = FirstOfJanuary } } },
        { "coupon.currency_differs", Redeem with { Coupon = new(TheCoupon, CouponTerms(new FixedDiscount(new(100, Currency.JPY))), Noon, null) } },
        { "coupon.subscription_unknown", Redeem with { SubscriptionKnown = false } },
        { "coupon.already_redeemed", Redeem with { AlreadyRedeemed = true } },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_cannot_be_redeemed_says_why(string code, RedeemCoupon.Command command) =>
        RedemptionSpec.Given().When(redemption => RedeemCoupon.Decide(command, redemption)).ThenRefused(code);

    [Fact]
    public void A_redemption_is_ended_once()
    {
        RedemptionSpec.Given(CouponRedeemed()).When(it => EndRedemption.Decide(Noon, it)).Then(new RedemptionEnded(Noon));
        RedemptionSpec.Given(CouponRedeemed(), new RedemptionEnded(Noon)).When(it => EndRedemption.Decide(Noon, it)).ThenNothing();
        RedemptionSpec.Given().When(it => EndRedemption.Decide(Noon, it)).ThenRefused("coupon_redemption.not_found");
    }
}
