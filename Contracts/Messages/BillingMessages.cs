using NodaTime;

namespace Platform.Contracts.Messages;

/// <summary>
/// Sent by the Scheduler's recurring work: close every billing period that ended at or before <paramref name="AsOf"/>.
/// Repeats and overlaps do no harm: a period is closed once.
/// </summary>
public sealed record CloseBillingPeriods(Instant AsOf);

/// <summary>Published by Billing: the invoice is owed and will not change.</summary>
/// <param name="SubscriptionIds">Those whose periods it is for.</param>
/// <param name="Number">Gapless per issuer and year, for example <c>2026-000042</c>.</param>
public sealed record InvoiceFinalized(
    InvoiceId InvoiceId, TenantId TenantId, IReadOnlyList<SubscriptionId> SubscriptionIds, string Number, Money Total,
    Instant PeriodStart, Instant PeriodEnd, Instant At);
