using NodaTime;
using NodaTime.Text;
using Platform.Billing.AddOns;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Contracts;
using Platform.EventStore;
using Platform.Testing;
using static Platform.Billing.Tests.History;

namespace Platform.Billing.Tests.AddOns;

using AddOnSpec = Spec<SubscribedAddOn, SubscribedAddOnEvent>;
using Subscription = Platform.Billing.Subscriptions.Subscription;

public class AddOnSpecs
{
    /// <summary>
    /// One line per case, of two pieces at 3.10 for a whole month: kind, attached, removed, the slice of January 2026 in Berlin that is
    /// billed; the line as quantity unit = amount.
    /// </summary>
    public static TheoryData<AddOnKind, string, string?, string, string, string> Lines => new()
    {
        { AddOnKind.Recurring, "2025-12-15T12:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "2 unit = 6.20" },
        { AddOnKind.Recurring, "2026-01-01T00:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "2 unit = 6.20" },
        { AddOnKind.Recurring, "2026-01-01T18:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "2 unit = 6.20" },
        { AddOnKind.Recurring, "2026-01-11T18:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "21 day = 4.20" },
        { AddOnKind.Recurring, "2025-12-15T12:00", "2026-01-11T18:00", "2026-01-01T00:00", "2026-02-01T00:00", "10 day = 2.00" },
        { AddOnKind.Recurring, "2026-01-05T18:00", "2026-01-11T18:00", "2026-01-01T00:00", "2026-02-01T00:00", "6 day = 1.20" },
        { AddOnKind.Recurring, "2026-01-05T18:00", "2026-01-05T20:00", "2026-01-01T00:00", "2026-02-01T00:00", "" },
        { AddOnKind.Recurring, "2025-11-05T18:00", "2025-12-05T20:00", "2026-01-01T00:00", "2026-02-01T00:00", "" },
        { AddOnKind.Recurring, "2026-02-01T00:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "" },
        { AddOnKind.Recurring, "2025-12-15T12:00", null, "2026-01-01T00:00", "2026-01-11T18:00", "10 day = 2.00" },
        { AddOnKind.Recurring, "2025-12-15T12:00", null, "2026-01-11T18:00", "2026-02-01T00:00", "21 day = 4.20" },
        { AddOnKind.OneOff, "2026-01-05T18:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "2 unit = 6.20" },
        { AddOnKind.OneOff, "2026-01-01T00:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "2 unit = 6.20" },
        { AddOnKind.OneOff, "2026-02-01T00:00", null, "2026-01-01T00:00", "2026-02-01T00:00", "" },
        { AddOnKind.OneOff, "2025-12-31T23:59", null, "2026-01-01T00:00", "2026-02-01T00:00", "" },
        { AddOnKind.OneOff, "2026-01-05T18:00", "2026-01-06T00:00", "2026-01-01T00:00", "2026-02-01T00:00", "" },
        { AddOnKind.OneOff, "2026-01-05T18:00", "2026-02-01T00:00", "2026-01-01T00:00", "2026-02-01T00:00", "2 unit = 6.20" },
    };

    [Theory]
    [MemberData(nameof(Lines))]
    public void A_recurring_add_on_is_prorated_by_days_and_a_one_off_one_is_owed_once(
        AddOnKind kind, string attached, string? removed, string start, string end, string line)
    {
        var lines = RateAddOns.Lines([View(kind, At(attached), removed is null ? null : At(removed))], new(At(start), At(end)), January, Berlin);

        string.Join(", ", lines.Select(it => $"{it.Quantity} {it.Unit} = {it.Amount.Amount}")).ShouldBe(line);
        lines.ShouldAllBe(it =>
            it.Kind == LineKind.AddOn && it.AddOnId == TheAddOn && it.ProductId == TheProduct && it.TaxCategory == "reduced");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(30)]
    public void The_slices_of_a_month_sum_to_the_whole_amount(int cut)
    {
        var addOn = View(AddOnKind.Recurring, At("2025-12-01T00:00"), removed: null) with { Amount = new(10_01, Currency.EUR), Quantity = 1 };
        var middle = January.Start + Duration.FromDays(cut) + Duration.FromHours(5);

        var lines = RateAddOns.Lines([addOn], new(January.Start, middle), January, Berlin)
            .Concat(RateAddOns.Lines([addOn], new(middle, January.End), January, Berlin));

        lines.Sum(line => line.Amount.MinorUnits).ShouldBe(10_01);
    }

    [Fact]
    public void An_add_on_is_attached_once_at_its_terms() =>
        AddOnSpec.Given().When(known => AttachAddOn.Decide(Attach(), known)).Then(AddOnAttached());

    [Fact]
    public void The_same_request_again_attaches_nothing() =>
        AddOnSpec.Given(AddOnAttached()).When(known => AttachAddOn.Decide(Attach(), known)).ThenNothing();

    [Fact]
    public void What_cannot_be_attached_is_refused()
    {
        Refused(Attach() with { AddOn = null }, "add_on.unknown");
        Refused(Attach() with { Currency = Currency.USD }, "add_on.currency_differs");
        Refused(Attach() with { Subscription = Subscription.Initial }, "subscription.not_found");
        Refused(Attach() with { Subscription = Running() with { EndedAt = Noon } }, "subscription.ended");

        static void Refused(AttachAddOn.Command command, string code) =>
            AddOnSpec.Given().When(known => AttachAddOn.Decide(command, known)).ThenRefused(code);
    }

    [Fact]
    public void An_add_on_is_removed_once()
    {
        AddOnSpec.Given(AddOnAttached()).When(known => RemoveAddOn.Decide(Remove(), known)).Then(new AddOnRemoved(Noon));
        AddOnSpec.Given(AddOnAttached(), new AddOnRemoved(Noon)).When(known => RemoveAddOn.Decide(Remove(), known)).ThenNothing();
        AddOnSpec.Given().When(known => RemoveAddOn.Decide(Remove(), known)).ThenRefused("subscribed_add_on.not_found");
    }

    [Fact]
    public void A_one_off_add_on_is_removed_until_its_period_ends()
    {
        var billed = Running() with { PeriodStart = FirstOfFebruary, PeriodEnd = FirstOfMarch };

        AddOnSpec.Given(OneOff()).When(known => RemoveAddOn.Decide(Remove(), known)).Then(new AddOnRemoved(Noon));
        AddOnSpec.Given(OneOff())
            .When(known => RemoveAddOn.Decide(Remove() with { At = FirstOfFebruary }, known)).ThenRefused("subscribed_add_on.billed");
        AddOnSpec.Given(OneOff())
            .When(known => RemoveAddOn.Decide(Remove() with { Subscription = billed }, known)).ThenRefused("subscribed_add_on.billed");

        static AddOnAttached OneOff() => AddOnAttached(AddOnKind.OneOff);
    }

    private static readonly DateTimeZone Berlin = DateTimeZoneProviders.Tzdb["Europe/Berlin"];

    private static readonly BillingPeriod January = new(At("2026-01-01T00:00"), At("2026-02-01T00:00"));

    private static AttachAddOn.Command Attach() => new(
        TheSubscribedAddOn, TheSubscription, Running(),
        new(TheAddOn, "static-ip", "Static address", new(3_10, Currency.EUR), AddOnKind.Recurring, Noon, TheProduct, "reduced"),
        Quantity: 2, Currency.EUR, Noon);

    private static RemoveAddOn.Command Remove() => new(TheSubscription, Running(), Noon);

    private static Subscription Running() => Fold.After(Subscription.Initial, new SubscriptionEvent[] { Started() });

    private static SubscribedAddOnView View(AddOnKind kind, Instant attached, Instant? removed) => new(
        TheSubscribedAddOn, TheSubscription, TheAddOn, "Static address", new(3_10, Currency.EUR), kind, Quantity: 2, attached, removed,
        TheProduct, "reduced");

    // By the clocks of Berlin.
    private static Instant At(string text) => LocalDateTimePattern.CreateWithInvariantCulture("uuuu-MM-dd'T'HH:mm").Parse(text).Value
        .InZoneStrictly(DateTimeZoneProviders.Tzdb["Europe/Berlin"]).ToInstant();
}
