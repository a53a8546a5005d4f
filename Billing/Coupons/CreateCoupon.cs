using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Coupons;

/// <summary>Puts a coupon into the catalog. Its terms never change; another promise is another coupon.</summary>
public static partial class CreateCoupon
{
    private const int PlansMax = 100;
    private const int ProductsMax = 100;

    /// <param name="Code">1 to 50 letters, digits, dashes and underscores; upper and lower case are the same.</param>
    /// <param name="Periods">Needed with <c>repeating</c>, and only there: 1 to 1200.</param>
    /// <param name="PlanIds">Only lines of these plans are discounted; of all plans if absent or empty.</param>
    /// <param name="ProductIds">Only lines that sell these products are discounted; all lines if absent or empty.</param>
    /// <param name="Priority">0 to 1000; lower ones take their part first, each on what those before left.</param>
    /// <param name="Stacks">False: it shares no line with another coupon.</param>
    /// <param name="ValidUntil">From then on nobody can redeem it.</param>
    /// <param name="RedemptionsMax">How often it can be redeemed, by all tenants together; without limit if absent.</param>
    public sealed record NewCoupon(
        string Code, string DisplayName, CouponDiscount Discount, CouponDuration Duration, int? Periods = null,
        IReadOnlyList<PlanId>? PlanIds = null, IReadOnlyList<ProductId>? ProductIds = null, int Priority = 100, bool Stacks = true,
        Instant? ValidUntil = null, int? RedemptionsMax = null)
    {
        public CouponTerms ToTerms() => new(
            CouponCode.Of(Code), DisplayName, Discount, Duration, Periods, [.. (PlanIds ?? []).Distinct()],
            [.. (ProductIds ?? []).Distinct()], Priority, Stacks, ValidUntil?.ToMicroseconds(), RedemptionsMax);
    }

    /// <param name="PlansUnknown">Those of the coupon's plans that do not exist.</param>
    /// <param name="ProductsUnknown">Those of its products that do not.</param>
    public sealed record Command(
        CouponId CouponId, CouponTerms Terms, bool CodeTaken, IReadOnlyCollection<PlanId> PlansUnknown,
        IReadOnlyCollection<ProductId> ProductsUnknown, Instant At);

    public static Decision<CouponEvent> Decide(Command command, Coupon coupon) => (command, coupon.Status) switch
    {
        (_, not CouponStatus.Missing) => [],
        ({ CodeTaken: true }, _) => Refusal.Because("coupon.code_taken", "Another coupon has this code."),
        ({ PlansUnknown.Count: > 0 }, _) => Refusal.Because(
            "coupon.plan_unknown", $"There is no plan {command.PlansUnknown.First()}.", "plan_ids"),
        ({ ProductsUnknown.Count: > 0 }, _) => Refusal.Because(
            "coupon.product_unknown", $"There is no product {command.ProductsUnknown.First()}.", "product_ids"),
        _ => [new CouponCreated(command.CouponId, command.Terms, command.At)],
    };

    public static void Map(RouteGroupBuilder coupons) =>
        coupons.MapPost("/", Handle).WithName(nameof(CreateCoupon)).ForOperators().Idempotent();

    /// <exception cref="InvalidRequestException">Every field that is wrong.</exception>
    public static void Validate(NewCoupon request)
    {
        var errors = new FieldErrors()
            .Require(Shape().IsMatch(request.Code), "code", "1 to 50 letters, digits, dashes and underscores.")
            .RequireDisplayName(request.DisplayName)
            .Require(
                (request.Duration, request.Periods) is (CouponDuration.Repeating, >= 1 and <= 1200) or (not CouponDuration.Repeating, null),
                "periods", "1 to 1200 billing periods are needed with repeating, and none otherwise.")
            .Require(request.PlanIds is null or { Count: <= PlansMax }, "plan_ids", "At most 100 plans.")
            .Require(request.ProductIds is null or { Count: <= ProductsMax }, "product_ids", "At most 100 products.")
            .Require(request.Priority is >= 0 and <= 1000, "priority", "0 to 1000.")
            .Require(request.RedemptionsMax is null or >= 1, "redemptions_max", "At least 1, or absent.");
        _ = request.Discount switch
        {
            FixedDiscount it => errors.Require(it.Amount.MinorUnits > 0, "discount.amount", "An amount above zero is needed."),
            PercentDiscount it => errors.Require(
                it.Rate is > 0 and <= 1 && it.Rate.Scale <= 6, "discount.rate",
                "A rate is a fraction above 0, up to 1, with at most 6 decimals: 0.25 is 25 %."),
            _ => errors,
        };
        errors.ThrowIfAny();
    }

    private static async Task<Results<Created<CouponView>, ProblemHttpResult>> Handle(
        NewCoupon request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, BillingDatabase database,
        TimeProvider clock, CancellationToken cancellation)
    {
        Validate(request);
        var (id, terms, at) = (new CouponId(requestId.Value), request.ToTerms(), clock.Now());
        var plans = await CatalogKeys.Unknown<PlanId, PlanView>(documents, PlanView.Table, terms.PlanIds, cancellation);
        var products = await CatalogKeys.Unknown<ProductId, ProductView>(documents, ProductView.Table, terms.ProductIds, cancellation);

        var decided = await store.Transact(
            TenantId.Operator.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var taken = await CouponCode.IsTaken(transaction, terms.Code, id, token);
                return await transaction.Decide<Coupon, CouponEvent>(
                    Coupon.Stream(id), coupon => Decide(new(id, terms, taken, plans, products, at), coupon), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/coupons/{id}", (await CouponView.Find(documents, database, id, cancellation))!);
    }

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9_-]{0,49}$")]
    private static partial Regex Shape();
}
