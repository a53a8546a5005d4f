namespace Platform.Billing.Tenants;

/// <summary>Who sets an invoice's payment in motion.</summary>
public enum CollectionMethod
{
    /// <summary>The platform charges the tenant's payment method when the invoice is finalized.</summary>
    Automatic,

    /// <summary>The tenant pays by itself, by bank transfer or on request.</summary>
    Manual,
}

/// <summary>How a tenant is invoiced and pays. An invoice keeps what was set when it was finalized.</summary>
/// <param name="GraceDays">Days between the end of a period and the finalization of its invoice, 0 to 30.</param>
/// <param name="PaymentTermsDays">Calendar days in the tenant's zone from finalization until payment is due, 0 to 365.</param>
/// <param name="RetryDays">
/// Days after an invoice was due on which it is dunned, ascending, at most 10; where collection is automatic it is charged again then.
/// </param>
public sealed record BillingSettings(int GraceDays, int PaymentTermsDays, CollectionMethod Collection, IReadOnlyList<int> RetryDays)
{
    public static readonly BillingSettings Default =
        new(GraceDays: 0, PaymentTermsDays: 14, CollectionMethod.Automatic, RetryDays: [1, 3, 5, 7]);

    public bool Equals(BillingSettings? other) =>
        other is not null && GraceDays == other.GraceDays && PaymentTermsDays == other.PaymentTermsDays
        && Collection == other.Collection && RetryDays.SequenceEqual(other.RetryDays);

    public override int GetHashCode() => HashCode.Combine(GraceDays, PaymentTermsDays, Collection, RetryDays.Count);
}
