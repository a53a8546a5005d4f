using NodaTime;
using Platform.Billing.Subscriptions;
using Platform.Contracts;

namespace Platform.Billing.Coupons;

/// <summary>A line of an invoice as coupons see it.</summary>
/// <param name="Key">Names the line apart from its place: an odd cent falls on the same line in whatever order they stand.</param>
/// <param name="Amount">Rounded; negative where it takes back.</param>
public sealed record DiscountableLine(
    string Key, Money Amount, PlanId? PlanId, SubscriptionId? SubscriptionId, ProductId? ProductId = null);

/// <summary>What one redeemed coupon takes off an invoice.</summary>
/// <param name="Amount">Above zero.</param>
/// <param name="Parts">One per line, in the order of the lines; they sum to the amount.</param>
public sealed record Discount(RedeemedCoupon Coupon, Money Amount, IReadOnlyList<Money> Parts);

/// <summary>
/// Lines and redeemed coupons to what each coupon takes off each line. Pure. Coupons take their parts by priority, each on what the
/// ones before left, and never more than is owed: negative lines lower what is owed, and no part falls on them.
/// </summary>
public static class ApplyCoupons
{
    /// <param name="billed">What the invoice is for: a billing period or a slice of one.</param>
    /// <param name="calendarEnd">When the billing period by the calendar ends; a fixed amount is taken once until then.</param>
    /// <returns>In the order in which they were taken; those that take nothing are left out.</returns>
    public static IReadOnlyList<Discount> Apply(
        IReadOnlyList<DiscountableLine> lines, IEnumerable<RedeemedCoupon> redeemed, BillingPeriod billed, Instant calendarEnd)
    {
        var discounts = new List<Discount>();
        if (lines.Count == 0)
            return discounts;

        var left = lines.Select(line => line.Amount).ToArray();
        var zero = Money.Zero(left[0].Currency);
        var takers = lines.Select(_ => new List<CouponTerms>()).ToArray();
        foreach (var coupon in redeemed
            .Where(it => it.Holds(billed, calendarEnd))
            .OrderBy(it => it.Terms.Priority).ThenBy(it => it.RedeemedAt).ThenBy(it => it.RedemptionId.Value))
        {
            var terms = coupon.Terms;
            int[] covered =
            [
                .. lines.Index()
                    .Where(line => Covers(coupon, line.Item) && MayShare(terms, takers[line.Index]))
                    .OrderBy(line => line.Item.Key, StringComparer.Ordinal)
                    .Select(line => line.Index),
            ];
            // A coupon lowers what is owed; it never becomes a credit, neither over its own lines nor over the whole invoice.
            var owedByCovered = Sum(covered.Select(index => left[index]));
            var amount = Min(Worth(coupon, owedByCovered), Min(owedByCovered, Sum(left)));
            if (amount <= zero)
                continue;

            var parts = lines.Select(_ => zero).ToArray();
            int[] owing = [.. covered.Where(index => left[index] > zero)];
            var owed = owing.Sum(index => left[index].Amount);
            foreach (var (index, part) in owing.Zip(amount.SplitBy([.. owing.Select(index => amount.Amount * left[index].Amount / owed)])))
            {
                parts[index] = part;
                left[index] -= part;
                takers[index].Add(terms);
            }

            discounts.Add(new(coupon, amount, parts));
        }

        return discounts;

        Money Sum(IEnumerable<Money> amounts) => amounts.Aggregate(zero, (sum, amount) => sum + amount);

        Money Worth(RedeemedCoupon coupon, Money owed) => coupon.Terms.Discount switch
        {
            FixedDiscount it => it.Amount - coupon.TakenFrom(calendarEnd, owed.Currency),
            PercentDiscount it => Money.Round(owed.Amount * it.Rate, owed.Currency),
            var other => throw new System.Diagnostics.UnreachableException($"No discount {other.GetType().Name}."),
        };
    }

    private static bool Covers(RedeemedCoupon coupon, DiscountableLine line) =>
        (coupon.SubscriptionId is null || coupon.SubscriptionId == line.SubscriptionId)
        && (coupon.Terms.PlanIds is [] || (line.PlanId is { } plan && coupon.Terms.PlanIds.Contains(plan)))
        && (coupon.Terms.ProductIds is [] || (line.ProductId is { } product && coupon.Terms.ProductIds.Contains(product)));

    private static bool MayShare(CouponTerms terms, List<CouponTerms> takers) =>
        takers.Count == 0 || (terms.Stacks && takers.All(taker => taker.Stacks));

    private static Money Min(Money one, Money other) => one < other ? one : other;
}
