using NodaTime;
using Platform.Billing.Rating;

namespace Platform.Billing.Subscriptions;

/// <summary>On which days a subscription's billing periods begin.</summary>
public enum BillingAnchor
{
    /// <summary>
    /// On the tenant's billing anchor day: of each month, of January, April, July and October, or of January. Weeks begin on Monday.
    /// </summary>
    Calendar,

    /// <summary>On the day on which the subscription began, and in whole intervals from there.</summary>
    Anniversary,
}

/// <summary>How billing periods follow one another, and which end of them the fee is owed at.</summary>
/// <param name="Anchor">A date in the tenant's zone on which a period begins; all others begin whole intervals before and after it.</param>
public sealed record BillingCycle(BillingInterval Interval, LocalDate Anchor, FeeTiming FeeTiming = FeeTiming.InArrears)
{
    /// <param name="anchorDay">Day of the month, 1 to 31.</param>
    /// <param name="near">Where to look for a date to anchor at; any gives the same periods.</param>
    public static BillingCycle OfCalendar(BillingInterval interval, int anchorDay, LocalDate near)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(anchorDay, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(anchorDay, 31);

        // January begins each of the longer periods, and has every anchor day.
        return new(
            interval,
            interval == BillingInterval.Week
                ? near.With(DateAdjusters.PreviousOrSame(IsoDayOfWeek.Monday))
                : new(near.Year, 1, anchorDay));
    }
}
