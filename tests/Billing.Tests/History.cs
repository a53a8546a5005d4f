using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Coupons;
using Platform.Billing.CreditNotes;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Revenue;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Billing.Tenants;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.Contracts.Verification;
using ApiKeyIssued = Platform.Billing.ApiKeys.ApiKeyIssued;
using ApiKeyRevoked = Platform.Billing.ApiKeys.ApiKeyRevoked;
using EntitlementsChanged = Platform.Billing.Entitlements.EntitlementsChanged;
using InvoiceFinalized = Platform.Billing.Invoices.InvoiceFinalized;
using TenantRegistered = Platform.Billing.Tenants.TenantRegistered;

namespace Platform.Billing.Tests;

/// <summary>Events that happened, with dull, fixed defaults: a test names only what it is about.</summary>
internal static class History
{
    public static readonly Instant Noon = Instant.FromUtc(2026, 1, 31, 12, 0);
    public static readonly Instant FirstOfJanuary = Instant.FromUtc(2026, 1, 1, 0, 0);
    public static readonly Instant FirstOfFebruary = Instant.FromUtc(2026, 2, 1, 0, 0);
    public static readonly Instant FirstOfMarch = Instant.FromUtc(2026, 3, 1, 0, 0);
    public static readonly TenantId TheTenant = new(Guid.Parse("0198c0de-0000-7000-8000-000000000001"));
    public static readonly InvoiceId TheInvoice = new(Guid.Parse("0198c0de-0000-7000-8000-000000000002"));
    public static readonly SubscriptionId TheSubscription = new(Guid.Parse("0198c0de-0000-7000-8000-000000000003"));
    public static readonly PlanId ThePlan = new(Guid.Parse("0198c0de-0000-7000-8000-000000000004"));
    public static readonly MeterId TheMeter = new(Guid.Parse("0198c0de-0000-7000-8000-000000000005"));
    public static readonly ProductId TheProduct = new(Guid.Parse("0198c0de-0000-7000-8000-000000000060"));
    public static readonly PriceId ThePrice = new(Guid.Parse("0198c0de-0000-7000-8000-000000000061"));
    public static readonly AddOnId TheAddOn = new(Guid.Parse("0198c0de-0000-7000-8000-000000000062"));
    public static readonly SubscribedAddOnId TheSubscribedAddOn = new(Guid.Parse("0198c0de-0000-7000-8000-000000000063"));
    public static readonly CostRateId TheCostRate = new(Guid.Parse("0198c0de-0000-7000-8000-000000000064"));
    public static readonly ApiKeyId TheKey = new(Guid.Parse("0198c0de-0000-7000-8000-000000000006"));
    public static readonly PaymentId ThePayment = new(Guid.Parse("0198c0de-0000-7000-8000-000000000011"));
    public static readonly PaymentMethodId ThePaymentMethod = new(Guid.Parse("0198c0de-0000-7000-8000-000000000012"));
    public static readonly CouponId TheCoupon = new(Guid.Parse("0198c0de-0000-7000-8000-000000000051"));
    public static readonly CouponRedemptionId TheRedemption = new(Guid.Parse("0198c0de-0000-7000-8000-000000000052"));
    public static readonly TaxRateId TheTaxRate = new(Guid.Parse("0198c0de-0000-7000-8000-000000000055"));
    public static readonly CreditGrantId TheGrant = new(Guid.Parse("0198c0de-0000-7000-8000-000000000040"));
    public static readonly RefundId TheRefund = new(Guid.Parse("0198c0de-0000-7000-8000-000000000013"));
    public static readonly CreditNoteId TheCreditNote = new(Guid.Parse("0198c0de-0000-7000-8000-000000000041"));
    public static readonly Guid TheRequest = Guid.Parse("0198c0de-0000-7000-8000-000000000007");

    public static TenantRegistered TenantRegistered() =>
        new(TheTenant, "Acme", Currency.EUR, "Europe/Berlin", BillingAnchorDay: 31, Noon);

    public static ApiKeyIssued KeyIssued(ApiKeyScope scope = ApiKeyScope.TenantViewer) =>
        new(TheKey, TheTenant, scope, "Dashboard", new('a', 64), new('b', 64), Noon);

    public static ApiKeyRevoked KeyRevoked() => new(TheKey, Noon);

    public static MeterDefined MeterDefined() =>
        new(TheMeter, "gpu-time", "GPU time", "gpu.time", Aggregation.Sum, "milliseconds", "millisecond", Noon);

    public static MeterVersionPublished MeterVersionPublished() => new(
        TheMeter, Version: 2,
        new(
            "GPU time", "gpu.time", Aggregation.WeightedSum, "milliseconds", "millisecond_hour", Percentile: null, TimeUnit.Hour,
            [new EqualsFilter("pool", "spot"), new InFilter("region", ["eu", "us"]), new RangeFilter("size", From: 1.5m, To: 10)],
            ["region", "model"]),
        Noon);

    public static readonly BillingCycle Monthly = new(BillingInterval.Month, new(2026, 1, 1));

    /// <summary>That of <see cref="Terms"/>.</summary>
    public static readonly Money TheFee = new(100_00, Currency.EUR);

    public static PlanTerms Terms(
        long feeCents = 100_00, Proration proration = Proration.Days, decimal unitPrice = 0.0000025m) => new(
        "Standard", Currency.EUR, new(feeCents, Currency.EUR), proration,
        [new PerUnitCharge("gpu-time", "GPU time", unitPrice), new PerUnitCharge("inference-calls", "Inference calls", 0.001m)]);

    public static PlanVersionPublished PlanPublished(int version = 1, PlanTerms? terms = null) =>
        new(ThePlan, version, "standard", terms ?? Terms(), Noon);

    public static ProductDefined ProductDefined() => new(TheProduct, "inference", "Inference", Business.ModelServices, Noon);

    public static PricePublished PricePublished() =>
        new(ThePrice, TenantId.Operator, "gpu-hour.h100", Currency.USD, UnitAmount: 2.10m, FirstOfFebruary, Noon);

    public static CostRatePublished CostRatePublished(decimal unitCost = 0.0004m, Instant? from = null, Currency? currency = null) => new(
        TheCostRate, TheMeter, "gpu-time", MeterVersion: 1, currency ?? Currency.EUR, unitCost, from ?? FirstOfFebruary, Noon);

    public static AddOnDefined AddOnDefined(AddOnKind kind = AddOnKind.Recurring) =>
        new(TheAddOn, "static-ip", "Static address", new(3_10, Currency.EUR), kind, Noon, TheProduct, "reduced");

    public static AddOnAttached AddOnAttached(AddOnKind kind = AddOnKind.Recurring, Instant? at = null) => new(
        TheSubscribedAddOn, TheSubscription, TheAddOn, "Static address", new(3_10, Currency.EUR), kind, Quantity: 2, at ?? Noon, TheProduct,
        "reduced");

    public static EntitlementsChanged EntitlementsChanged() => new(
        TheTenant, Version: 1,
        Grants.Of(
            ["pool.reserved", "gpu.nvidia-h200"],
            [new("jobs.concurrent", 8, LimitMode.Hard), new("gpu.milli", 4000, LimitMode.Soft)]),
        Noon);

    public static SubscriptionStarted Started() => new(
        TheSubscription, TheTenant, ThePlan, PlanVersion: 1, "Etc/UTC", BillingAnchor.Calendar, BillingAnchorDay: 1, Monthly, TheFee,
        FirstOfJanuary, FirstOfFebruary, Quantity: 1, FirstOfJanuary);

    public static PeriodClosed JanuaryClosed(Guid? request = null) => new(
        Number: 1, FirstOfJanuary, FirstOfFebruary, FirstOfMarch, TheInvoice, UsageThrough: 17, request, FirstOfFebruary);

    public static CancellationScheduled CancelledAt(Instant end, Instant? at = null) => new(end, at ?? Noon);

    public static SubscriptionEnded Ended() => new(FirstOfFebruary, FirstOfFebruary);

    public static InvoiceDrafted Drafted() => new(
        TheInvoice, TheTenant, Currency.EUR, FirstOfJanuary, FirstOfFebruary, "Etc/UTC",
        [new(TheSubscription, ThePlan, PlanVersion: 1, PeriodNumber: 1, FirstOfJanuary, FirstOfFebruary, UsageAfter: 0)],
        UsageThrough: 17, FirstOfFebruary);

    public static InvoiceLineAdded Line(int line = 1, long cents = 100_00) => new(
        line, LineKind.Usage, "GPU time", "gpu-time", Quantity: 40_000_000m, "millisecond", UnitAmount: 0.0000025m,
        new(cents, Currency.EUR), FirstOfJanuary, FirstOfFebruary, FirstOfFebruary, TheSubscription, ThePlan, PlanVersion: 1);

    public static InvoiceLineAdded AddOnLine() => new(
        Line: 2, LineKind.AddOn, "Static address", Meter: null, Quantity: 2, "unit", UnitAmount: 3.10m, new(6_20, Currency.EUR),
        FirstOfJanuary, FirstOfFebruary, FirstOfFebruary, TheSubscription, TaxCategory: "reduced", ProductId: TheProduct, AddOnId: TheAddOn);

    public static CouponTerms CouponTerms(CouponDiscount? discount = null, params IReadOnlyList<PlanId> plans) => new(
        "SPRING-26", "Spring offer", discount ?? new PercentDiscount(0.25m), CouponDuration.Repeating, Periods: 3, plans, ProductIds: [],
        Priority: 100, Stacks: true, ValidUntil: FirstOfMarch, RedemptionsMax: 50);

    public static CouponCreated CouponCreated(CouponTerms? terms = null) =>
        new(TheCoupon, terms ?? CouponTerms(new FixedDiscount(new(10_00, Currency.EUR)), ThePlan) with { ProductIds = [TheProduct] }, Noon);

    public static CouponRedeemed CouponRedeemed(CouponTerms? terms = null) =>
        new(TheRedemption, TheCoupon, terms ?? CouponTerms(), TheSubscription, FirstOfJanuary);

    public static TaxRatePublished TaxRatePublished() => new(
        TheTaxRate, new("DE", TaxCategory.Standard, 0.19m, Inclusive: false, new(2021, 1, 1), ValidUntil: null), Noon);

    public static TaxProfileSet TaxProfileSet(TaxTreatment treatment = TaxTreatment.Taxable) =>
        new(new("DE", "DE123456789", treatment, Reason: null), Noon);

    public static InvoiceDiscountAdded DiscountAdded(long cents = 25_00) => new(
        TheRedemption, TheCoupon, "SPRING-26", "Spring offer", new(cents, Currency.EUR), [new(Line: 1, new(cents, Currency.EUR))],
        FirstOfFebruary);

    public static InvoiceTaxAdded TaxAdded() => new(
        "DE", 0.19m, Inclusive: false, TaxTreatment.Taxable, Reason: null, "DE123456789", [TheTaxRate], new(75_00, Currency.EUR),
        new(14_25, Currency.EUR), [new(Line: 1, new(14_25, Currency.EUR))], FirstOfFebruary);

    public static InvoiceFinalized Finalized(long cents = 100_00, UsageTreeHead? tree = null) =>
        new(
            "2026-000042", new(cents, Currency.EUR), cents == 0 ? [] : [new(LineKind.Usage, new(cents, Currency.EUR))],
            DueInTwoWeeks(), FirstOfFebruary, tree);

    /// <summary>On the 15th of February, charged by itself, dunned on the four days that are usual.</summary>
    public static PaymentTerms DueInTwoWeeks(CollectionMethod collection = CollectionMethod.Automatic) =>
        new(FirstOfFebruary + Duration.FromDays(14), collection, BillingSettings.Default.RetryDays);

    public static InvoicePaymentRequested ChargeRequested(long cents = 100_00) => new(
        ThePayment, new(cents, Currency.EUR), FirstOfFebruary + Duration.FromMinutes(10), FirstOfFebruary);

    public static PaymentRequested PaymentRequested(long cents = 100_00) =>
        new(ThePayment, TheTenant, new InvoiceTarget(TheInvoice), new(cents, Currency.EUR), ThePaymentMethod, FirstOfFebruary);

    public static RefundRequested RefundAsked(long cents = 30_00, long fromOwed = 10_00) => new(
        TheRefund, ThePayment, new InvoiceTarget(TheInvoice), new(cents, Currency.EUR), new(fromOwed, Currency.EUR), CreditNoteId: null,
        "Not as agreed", Noon + Duration.FromMinutes(10), Noon);

    public static TopUpTerms TopUpTerms(long threshold = 20_00, long amount = 50_00, long? monthlyMax = 100_00) => new(
        new(threshold, Currency.EUR), new(amount, Currency.EUR), monthlyMax is { } most ? new(most, Currency.EUR) : null);

    public static TopUpRuleSet TopUpRule(TopUpTerms? terms = null) => new(terms ?? TopUpTerms(), Noon, Noon);

    public static TopUpRequested TopUpAsked(bool automatic = true, PaymentId? payment = null, Instant? at = null) => new(
        payment ?? ThePayment, new(50_00, Currency.EUR), automatic, (at ?? Noon) + Duration.FromMinutes(10), at ?? Noon, at ?? Noon);

    public static CreditGranted Granted() => new(
        TheGrant, new(50_00, Currency.EUR), CreditKind.Prepaid, Priority: 50, FirstOfMarch, "Paid in advance", FirstOfJanuary);

    public static CreditConsumed Consumed(long cents) => new(
        TheInvoice, new(cents, Currency.EUR), [new(TheGrant, CreditKind.Prepaid, new(cents, Currency.EUR))], FirstOfFebruary);

    public static CreditExpired Expired(long cents) =>
        new(TheGrant, CreditKind.Prepaid, new(cents, Currency.EUR), FirstOfMarch, FirstOfMarch);

    public static CreditRefunded Refunded(long cents) =>
        new(TheGrant, CreditKind.Prepaid, new(cents, Currency.EUR), TheRefund, "No longer needed", Noon);

    public static CreditVoided Voided(long cents) =>
        new(TheGrant, CreditKind.Prepaid, new(cents, Currency.EUR), "Granted by mistake", Noon);

    public static CreditNoteIssued CreditNote() => new(
        TheCreditNote, "CN-2026-000001", TheInvoice, "2026-000042",
        [
            new(1, LineKind.RecurringFee, "Standard", new(11_90, Currency.EUR), TaxAmount: new(1_90, Currency.EUR)),
            new(2, LineKind.Usage, "GPU time", new(2_50, Currency.EUR), TaxAmount: new(0, Currency.EUR)),
        ],
        TaxTotal: new(1_90, Currency.EUR), Total: new(14_40, Currency.EUR), ReducesDue: new(10_00, Currency.EUR),
        ToWallet: new(2_50, Currency.EUR), ToRefund: new(1_90, Currency.EUR), "Not as agreed", Noon);
}
