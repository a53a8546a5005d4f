using System.Text.Json.Serialization;
using Platform.Contracts;

namespace Platform.Billing.Rating;

/// <summary>How much of the recurring fee a part of a billing period owes.</summary>
public enum Proration
{
    /// <summary>By calendar days of the actual period in the tenant's time zone; the day a slice ends belongs to the next.</summary>
    Days,

    /// <summary>By seconds of the actual period.</summary>
    Seconds,

    /// <summary>Every closed period owes the whole fee, however short it was.</summary>
    None,
}

/// <summary>How long a whole billing period is.</summary>
public enum BillingInterval
{
    Week,
    Month,
    Quarter,
    Year,
}

/// <summary>Everything that rating needs to know of one version of a plan.</summary>
/// <param name="RecurringFee">Owed in arrears for each billing period.</param>
/// <param name="Charges">At most one per meter.</param>
public sealed record PlanTerms(
    string DisplayName, Currency Currency, Money RecurringFee, Proration Proration, IReadOnlyList<Charge> Charges)
{
    public BillingInterval Interval { get; init; } = BillingInterval.Month;

    /// <summary>When use of the running period since its last invoice comes to it, that period is invoiced up to then; null for never.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Money? InvoiceThreshold { get; init; }

    public bool Equals(PlanTerms? other) =>
        other is not null && DisplayName == other.DisplayName && Currency == other.Currency && Interval == other.Interval
        && InvoiceThreshold == other.InvoiceThreshold
        && RecurringFee == other.RecurringFee && Proration == other.Proration && Charges.SequenceEqual(other.Charges);

    public override int GetHashCode() => HashCode.Combine(DisplayName, Currency, RecurringFee, Proration, Charges.Count);
}
