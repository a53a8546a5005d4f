using NodaTime;
using Platform.Billing.Tenants;

namespace Platform.Billing.Invoices;

/// <summary>When and how an invoice is to be paid, as its tenant's settings were when it was finalized.</summary>
/// <param name="DueAt">Payment is due before this instant; from it on the invoice is overdue.</param>
/// <param name="RetryDays">Days of 24 hours after <paramref name="DueAt"/> on which it is dunned, ascending.</param>
public sealed record PaymentTerms(Instant DueAt, CollectionMethod Collection, IReadOnlyList<int> RetryDays)
{
    /// <summary>Due at the same local time, so many calendar days later.</summary>
    public static PaymentTerms Of(BillingSettings settings, string timeZone, Instant finalizedAt)
    {
        var zone = DateTimeZoneProviders.Tzdb[timeZone];
        var due = finalizedAt.InZone(zone).LocalDateTime.PlusDays(settings.PaymentTermsDays).InZoneLeniently(zone).ToInstant();
        return new(due, settings.Collection, settings.RetryDays);
    }

    /// <summary>When something is first to be done about the payment.</summary>
    public Instant FirstStepAt(Instant finalizedAt) => Collection == CollectionMethod.Automatic ? finalizedAt : DueAt;

    /// <param name="retry">0 for the first.</param>
    public Instant RetryAt(int retry) => DueAt + Duration.FromDays(RetryDays[retry]);

    public bool Equals(PaymentTerms? other) =>
        other is not null && DueAt == other.DueAt && Collection == other.Collection && RetryDays.SequenceEqual(other.RetryDays);

    public override int GetHashCode() => HashCode.Combine(DueAt, Collection, RetryDays.Count);
}
