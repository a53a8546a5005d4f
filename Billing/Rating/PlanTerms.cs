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

/// <summary>When the recurring fee of a billing period is owed. Usage is always owed when it is known.</summary>
public enum FeeTiming
{
    /// <summary>On the invoice at the period's end.</summary>
    InArrears,

    /// <summary>On the invoice at the period's beginning.</summary>
    InAdvance,
}

/// <summary>Everything that rating needs to know of one version of a plan.</summary>
/// <param name="RecurringFee">For each billing period and unit of the subscription's quantity.</param>
/// <param name="Charges">At most one per meter.</param>
public sealed record PlanTerms(
    string DisplayName, Currency Currency, Money RecurringFee, Proration Proration, IReadOnlyList<Charge> Charges)
{
    public BillingInterval Interval { get; init; } = BillingInterval.Month;

    public FeeTiming FeeTiming { get; init; } = FeeTiming.InArrears;

    /// <summary>How long a new subscription costs nothing; 0 for no trial.</summary>
    public int TrialDays { get; init; }

    /// <summary>When use of the running period since its last invoice comes to it, that period is invoiced up to then; null for never.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Money? InvoiceThreshold { get; init; }

    /// <summary>The category of products by which the fee is taxed, and charges that name none; null for <c>standard</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TaxCategory { get; init; }

    /// <summary>The same plan while it costs nothing: all use is listed, at a price of zero.</summary>
    public PlanTerms OnTrial() => this with
    {
        DisplayName = OnTrial(DisplayName),
        RecurringFee = Money.Zero(Currency),
        Charges = [.. Charges.Select(it => new PerUnitCharge(it.Meter, OnTrial(it.DisplayName), UnitPrice: 0) { MeterVersion = it.MeterVersion })],
    };

    public bool Equals(PlanTerms? other) =>
        other is not null && DisplayName == other.DisplayName && Currency == other.Currency
        && (Interval, FeeTiming, TrialDays) == (other.Interval, other.FeeTiming, other.TrialDays)
        && InvoiceThreshold == other.InvoiceThreshold && TaxCategory == other.TaxCategory
        && RecurringFee == other.RecurringFee && Proration == other.Proration && Charges.SequenceEqual(other.Charges);

    private static string OnTrial(string displayName) => $"{displayName}, free trial";

    public override int GetHashCode() => HashCode.Combine(DisplayName, Currency, RecurringFee, Proration, Charges.Count);
}
