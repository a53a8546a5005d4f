using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Coupons;

/// <summary>A coupon as operators see it; <see cref="CreateCoupon.NewCoupon"/> says what its terms mean.</summary>
/// <param name="TimesRedeemed">By all tenants together. Ending a redemption does not take it back.</param>
public sealed record CouponView(
    CouponId CouponId, string Code, string DisplayName, CouponDiscount Discount, CouponDuration Duration, int? Periods,
    IReadOnlyList<PlanId> PlanIds, IReadOnlyList<ProductId> ProductIds, int Priority, bool Stacks, Instant? ValidUntil,
    int? RedemptionsMax, int TimesRedeemed, Instant CreatedAt, Instant? ArchivedAt)
{
    public static void Map(RouteGroupBuilder coupons)
    {
        coupons.MapGet("/", List).WithName("ListCoupons").ForOperators();
        coupons.MapGet("/{id}", Get).WithName("GetCoupon").ForOperators();
    }

    public static async Task<CouponView?> Find(
        Documents documents, BillingDatabase database, CouponId id, CancellationToken cancellation) =>
        await documents.Find(TenantId.Operator.Value, CouponRecord.Table, id.Value, Stored.Json<CouponRecord>(), cancellation) is { } coupon
            ? coupon.ToView(await RedemptionCounts.Of(database, [id], cancellation))
            : null;

    private static async Task<Ok<Page<CouponView>>> List(
        [AsParameters] PageQuery page, Documents documents, BillingDatabase database, CancellationToken cancellation)
    {
        var rows = await documents.List(
            TenantId.Operator.Value, CouponRecord.Table, Stored.Json<CouponRecord>(), page.Size + 1, page.After, newestFirst: false,
            cancellation);
        var counts = await RedemptionCounts.Of(database, [.. rows.Select(row => row.View.CouponId)], cancellation);
        return TypedResults.Ok(page.Of([.. rows.Select(row => row.View.ToView(counts))], coupon => coupon.CouponId.Value));
    }

    private static async Task<Results<Ok<CouponView>, ProblemHttpResult>> Get(
        CouponId id, Documents documents, BillingDatabase database, CancellationToken cancellation) =>
        await Find(documents, database, id, cancellation) is { } coupon ? TypedResults.Ok(coupon) : Problems.NotFound("coupon");
}

/// <summary>A coupon as it is stored: what the catalog's own events say of it.</summary>
public sealed record CouponRecord(CouponId CouponId, CouponTerms Terms, Instant CreatedAt, Instant? ArchivedAt)
{
    public const string Table = "coupons";

    public CouponView ToView(IReadOnlyDictionary<CouponId, int> timesRedeemed) => new(
        CouponId, Terms.Code, Terms.DisplayName, Terms.Discount, Terms.Duration, Terms.Periods, Terms.PlanIds, Terms.ProductIds,
        Terms.Priority, Terms.Stacks, Terms.ValidUntil, Terms.RedemptionsMax, timesRedeemed.GetValueOrDefault(CouponId), CreatedAt,
        ArchivedAt);
}

public sealed class CouponProjection : DocumentProjection<CouponRecord, CouponEvent>
{
    public override string Name => "coupons";

    protected override string Table => CouponRecord.Table;

    protected override JsonTypeInfo<CouponRecord> Json => Stored.Json<CouponRecord>();

    protected override CouponRecord? Fold(CouponRecord? view, CouponEvent @event, RecordedEvent recorded) => (view, @event) switch
    {
        (_, CouponCreated it) => new(it.CouponId, it.Terms, it.At, ArchivedAt: null),
        ({ } coupon, CouponArchived it) => coupon with { ArchivedAt = it.At },
        _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
    };
}
