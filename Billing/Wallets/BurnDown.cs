using NodaTime;
using Platform.Contracts;

namespace Platform.Billing.Wallets;

/// <summary>
/// Which grants pay what is due: the lower priority first, then the earlier expiry (none is last), then the older grant. Pure.
/// </summary>
public static class BurnDown
{
    /// <param name="grants">Oldest first.</param>
    /// <param name="at">What has expired by then pays nothing.</param>
    /// <returns>What each grant pays, in order; together at most what is due, and less only where no credit is left.</returns>
    public static IReadOnlyList<CreditPart> Of(IEnumerable<CreditGrant> grants, Money due, Instant at)
    {
        var (zero, parts) = (Money.Zero(due.Currency), new List<CreditPart>());
        foreach (var grant in Order(grants.Where(grant => grant.Remaining > zero && !grant.HasExpired(at))))
        {
            if (due <= zero)
                break;
            var amount = grant.Remaining < due ? grant.Remaining : due;
            parts.Add(new(grant.GrantId, grant.Kind, amount));
            due -= amount;
        }

        return parts;
    }

    /// <param name="grants">Oldest first.</param>
    public static IEnumerable<CreditGrant> Order(IEnumerable<CreditGrant> grants) =>
        grants.OrderBy(grant => grant.Priority).ThenBy(grant => grant.ExpiresAt ?? Instant.MaxValue);
}
