using System.Reflection;
using System.Text.Json.Serialization;
using NodaTime;
using Platform.Billing.AddOns;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Coupons;
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
using Platform.EventStore;
using Platform.Testing;
using static Platform.Billing.Tests.History;
using LimitMode = Platform.Contracts.Messages.LimitMode;

namespace Platform.Billing.Tests;

/// <summary>What is stored today must be readable forever. These files may be added to, never edited.</summary>
public class EventContract
{
    public static TheoryData<string, object> Samples => new()
    {
        { "tenant.registered.v1", TenantRegistered() },
        { "tenant.clock_advanced.v1", new TenantClockAdvanced(FirstOfMarch) },
        {
            "tenant.billing_settings_changed.v1",
            new BillingSettingsChanged(new(GraceDays: 1, PaymentTermsDays: 30, CollectionMethod.Manual, RetryDays: [1, 14]), Noon)
        },
        { "tenant.suspended.v1", new TenantSuspended(TheInvoice, Noon) },
        { "tenant.reinstated.v1", new TenantReinstated(Noon) },
        { "api_key.issued.v1", KeyIssued() },
        { "api_key.revoked.v1", KeyRevoked() },
        { "meter.defined.v1", MeterDefined() },
        { "meter.version_published.v1", MeterVersionPublished() },
        { "product.defined.v1", ProductDefined() },
        { "price.published.v1", PricePublished() },
        { "cost_rate.published.v1", CostRatePublished() },
        { "add_on.defined.v1", AddOnDefined() },
        { "subscribed_add_on.attached.v1", AddOnAttached() },
        { "subscribed_add_on.removed.v1", new AddOnRemoved(Noon) },
        { "plan.version_published.v1", PlanPublished() },
        { "subscription.started.v1", Started() },
        { "subscription.period_closed.v1", JanuaryClosed(TheRequest) },
        { "subscription.cancellation_scheduled.v1", CancelledAt(FirstOfFebruary) },
        { "subscription.cancellation_withdrawn.v1", new CancellationWithdrawn(Noon) },
        { "subscription.ended.v1", Ended() },
        { "subscription.trial_end_changed.v1", new TrialEndChanged(FirstOfMarch, Monthly, Noon) },
        { "subscription.trial_ended.v1", new TrialEnded(FirstOfFebruary, FirstOfFebruary) },
        { "subscription.quantity_changed.v1", new QuantityChanged(Quantity: 5, FirstOfFebruary, Noon) },
        { "subscription.paused.v1", new SubscriptionPaused(FirstOfFebruary, Noon) },
        { "subscription.resumed.v1", new SubscriptionResumed(Noon, Noon) },
        { "subscription.nothing_late.v1", new NothingLate(FirstOfMarch, UsageThrough: 18, FirstOfMarch) },
        { "subscription.plan_change_scheduled.v1", new PlanChangeScheduled(ThePlan, PlanVersion: 2, Monthly, TheFee, FirstOfMarch, Noon) },
        { "subscription.plan_change_withdrawn.v1", new PlanChangeWithdrawn(Noon) },
        { "subscription.plan_changed.v1", new PlanChanged(ThePlan, PlanVersion: 2, Monthly, TheFee, FirstOfFebruary, FirstOfFebruary) },
        { "entitlements.changed.v1", EntitlementsChanged() },
        { "invoice.drafted.v1", Drafted() },
        { "invoice.line_added.v1", Line() },
        { "invoice.discount_added.v1", DiscountAdded() },
        { "invoice.tax_added.v1", TaxAdded() },
        { "invoice.finalized.v1", Finalized() },
        { "invoice.payment_requested.v1", ChargeRequested() },
        { "invoice.payment_unresolved.v1", new InvoicePaymentUnresolved(ThePayment, Noon, FirstOfFebruary) },
        { "invoice.payment_declined.v1", new InvoicePaymentDeclined(ThePayment, "insufficient_funds", FirstOfFebruary) },
        { "invoice.payment_applied.v1", new InvoicePaymentApplied(ThePayment, new(40_00, Currency.EUR), FirstOfFebruary) },
        { "invoice.paid.v1", new InvoicePaid(FirstOfFebruary) },
        { "invoice.overdue.v1", new InvoiceOverdue(FirstOfMarch, FirstOfFebruary) },
        { "invoice.dunned.v1", new InvoiceDunned(Step: 1, FirstOfMarch, FirstOfFebruary) },
        { "invoice.dunning_ended.v1", new InvoiceDunningEnded(FirstOfMarch) },
        { "invoice.marked_uncollectible.v1", new InvoiceMarkedUncollectible(new(60_00, Currency.EUR), "Insolvent", FirstOfMarch) },
        { "invoice.write_off_reversed.v1", new InvoiceWriteOffReversed(new(10_00, Currency.EUR), FirstOfMarch) },
        {
            "invoice.voided.v1",
            new InvoiceVoided(
                new(100_00, Currency.EUR), [new(Billing.Rating.LineKind.Usage, new(100_00, Currency.EUR))], "Wrong customer", FirstOfMarch)
        },
        { "payment_method.attached.v1", new PaymentMethodAttached(ThePaymentMethod, TheTenant, "sandbox", "tok_success", Noon) },
        { "payment_method.detached.v1", new PaymentMethodDetached(Noon) },
        { "payment.requested.v1", PaymentRequested() },
        {
            "payment.recorded.v1",
            new PaymentRecorded(ThePayment, TheTenant, TheInvoice, new(100_00, Currency.EUR), "RE 2026-000042", Noon, FirstOfFebruary)
        },
        { "payment.declined.v1", new PaymentDeclined("insufficient_funds", FirstOfFebruary) },
        {
            "payment.succeeded.v1",
            new PaymentSucceeded(
                new InvoiceTarget(TheInvoice), new(100_00, Currency.EUR), Applied: new(60_00, Currency.EUR),
                Excess: new(40_00, Currency.EUR), FirstOfFebruary)
        },
        { "refund.requested.v1", RefundAsked() with { CreditNoteId = TheCreditNote } },
        { "refund.unresolved.v1", new RefundUnresolved(TheRefund, FirstOfFebruary, Noon) },
        { "refund.failed.v1", new RefundFailed(TheRefund, new(30_00, Currency.EUR), "account_closed", Noon) },
        { "refund.succeeded.v1", new RefundSucceeded(TheRefund, new(30_00, Currency.EUR), Noon) },
        { "coupon.created.v1", CouponCreated() },
        { "coupon.archived.v1", new CouponArchived(TheCoupon, Noon) },
        { "coupon.redeemed.v1", CouponRedeemed() },
        { "coupon_redemption.applied.v1", new RedemptionApplied(TheInvoice, FirstOfFebruary, new(12_50, Currency.EUR), Noon) },
        { "coupon_redemption.ended.v1", new RedemptionEnded(Noon) },
        { "tax_rate.published.v1", TaxRatePublished() },
        { "tax_rate.archived.v1", new TaxRateArchived(TheTaxRate, Noon) },
        { "tax_profile.set.v1", TaxProfileSet() },
        { "invoice.credit_note_issued.v1", CreditNote() },
        { "wallet.credit_granted.v1", Granted() },
        { "wallet.credit_consumed.v1", Consumed(cents: 20_00) },
        { "wallet.credit_expired.v1", Expired(cents: 10_00) },
        { "wallet.credit_voided.v1", Voided(cents: 15_00) },
        { "wallet.credit_refunded.v1", Refunded(cents: 5_00) },
        { "top_up_rule.set.v1", TopUpRule() },
        { "top_up.requested.v1", TopUpAsked() },
        { "top_up.unresolved.v1", new TopUpUnresolved(ThePayment, FirstOfFebruary, Noon) },
        { "top_up.succeeded.v1", new TopUpSucceeded(ThePayment, new(50_00, Currency.EUR), Noon) },
        { "top_up.declined.v1", new TopUpDeclined(ThePayment, "insufficient_funds", FirstOfFebruary, Noon) },
        { "top_up_rule.switched_off.v1", new TopUpRuleSwitchedOff("insufficient_funds", Noon) },
        { "top_up_rule.removed.v1", new TopUpRuleRemoved(Noon) },
    };

    [Theory]
    [MemberData(nameof(Samples))]
    public void Every_event_is_stored_as_approved_and_reads_back(string name, object sample)
    {
        var json = Stored.Events.Serialize(sample);

        Stored.Events.NameOf(sample).ShouldBe(name);
        Approve.Text(Pretty.Json(json) + "\n", $"{name}.json");
        Stored.Events.Deserialize(name, json).ShouldBe(sample);
    }

    [Fact]
    public void A_sandbox_keeps_the_time_at_which_it_began()
    {
        var sample = TenantRegistered() with { Clock = FirstOfJanuary };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "tenant.registered.v1.sandbox.json");
        Stored.Events.Deserialize("tenant.registered.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_version_of_a_plan_keeps_what_it_grants_and_sells()
    {
        var sample = PlanPublished() with { Entitlements = EntitlementsChanged().Grants, ProductId = TheProduct };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "plan.version_published.v1.entitlements.json");
        Stored.Events.Deserialize("plan.version_published.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void Entitlements_keep_the_meter_of_a_limit_and_that_it_is_reached()
    {
        var stated = PlanPublished() with
        {
            Entitlements = Grants.Of([], [new("usage", 3600.5m, LimitMode.Hard, "gpu-time", MeterVersion: 2, PerUnit: true)]),
        };
        var told = EntitlementsChanged() with
        {
            Grants = Grants.Of([], [new("usage", 7201, LimitMode.Hard, "gpu-time", MeterVersion: 2, Reached: true)]),
        };

        Approve.Text(Pretty.Json(Stored.Events.Serialize(stated)) + "\n", "plan.version_published.v1.usage_limit.json");
        Approve.Text(Pretty.Json(Stored.Events.Serialize(told)) + "\n", "entitlements.changed.v1.usage_limit.json");
        Stored.Events.Deserialize("plan.version_published.v1", Stored.Events.Serialize(stated)).ShouldBe(stated);
        Stored.Events.Deserialize("entitlements.changed.v1", Stored.Events.Serialize(told)).ShouldBe(told);
    }

    [Fact]
    public void An_override_keeps_its_tenant_and_its_end()
    {
        var sample = PricePublished() with { TenantId = TheTenant, ValidUntil = FirstOfMarch };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "price.published.v1.override.json");
        Stored.Events.Deserialize("price.published.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_finalized_invoice_keeps_the_tree_of_its_usage()
    {
        var sample = Finalized(tree: new(Size: 17, new('a', 64)));
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "invoice.finalized.v1.usage_tree.json");
        Stored.Events.Deserialize("invoice.finalized.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_finalized_invoice_keeps_what_credit_paid_of_it_and_what_it_gave_to_the_wallet()
    {
        var paid = Finalized() with { CreditApplied = [new(TheGrant, CreditKind.Prepaid, new(20_00, Currency.EUR))] };
        var given = Finalized(cents: 0) with { ToWallet = new(19_00, Currency.EUR) };

        Approve.Text(Pretty.Json(Stored.Events.Serialize(paid)) + "\n", "invoice.finalized.v1.credit_applied.json");
        Approve.Text(Pretty.Json(Stored.Events.Serialize(given)) + "\n", "invoice.finalized.v1.to_wallet.json");
        Stored.Events.Deserialize("invoice.finalized.v1", Stored.Events.Serialize(paid)).ShouldBe(paid);
        Stored.Events.Deserialize("invoice.finalized.v1", Stored.Events.Serialize(given)).ShouldBe(given);
    }

    [Fact]
    public void Credit_that_was_bought_keeps_its_payment_and_the_payment_what_it_pays()
    {
        var granted = Granted() with { SourcePaymentId = ThePayment };
        var requested = PaymentRequested() with { Target = new TopUpTarget(Automatic: true) };

        Approve.Text(Pretty.Json(Stored.Events.Serialize(granted)) + "\n", "wallet.credit_granted.v1.top_up.json");
        Approve.Text(Pretty.Json(Stored.Events.Serialize(requested)) + "\n", "payment.requested.v1.top_up.json");
        Stored.Events.Deserialize("wallet.credit_granted.v1", Stored.Events.Serialize(granted)).ShouldBe(granted);
        Stored.Events.Deserialize("payment.requested.v1", Stored.Events.Serialize(requested)).ShouldBe(requested);
    }

    [Fact]
    public void A_closed_period_keeps_the_fee_that_its_invoice_bills_in_advance()
    {
        var sample = JanuaryClosed() with { Prepaid = new(Quantity: 3, new(FirstOfFebruary, FirstOfMarch)) };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "subscription.period_closed.v1.prepaid.json");
        Stored.Events.Deserialize("subscription.period_closed.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_subscription_that_begins_with_a_trial_keeps_its_end()
    {
        var sample = Started() with { TrialEnd = Noon, PeriodEnd = Noon };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "subscription.started.v1.trial_end.json");
        Stored.Events.Deserialize("subscription.started.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_plan_keeps_its_commitments_and_its_threshold()
    {
        var sample = PlanPublished(terms: Terms() with
        {
            InvoiceThreshold = new(500_00, Currency.EUR),
            Charges =
            [
                new WindowedCommitmentCharge(
                    "gpu-time", "GPU time", CommitmentWindow.Hour,
                    Bands:
                    [
                        new(new(8, 0), new(20, 0), 3), new(new(20, 0), LocalTime.Midnight, 1, BandDays.Weekdays),
                        new(LocalTime.Midnight, new(8, 0), 1, BandDays.Weekdays),
                    ],
                    CommittedQuantity: 5, OverageFactor: 1.5m, TrueUp: TrueUp.Period),
                new WindowedCommitmentCharge("calls", "Calls", CommitmentWindow.Day, UnitAmount: 2, CommittedAmount: 10),
                new PercentageCharge("sales", "Sales", 0.013m, FreeAmount: 100),
                new GraduatedPercentageCharge("refunds", "Refunds", [new(100, 0.02m, 1), new(null, 0.01m)]),
            ],
        });
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "plan.version_published.v1.commitments.json");
        Stored.Events.Deserialize("plan.version_published.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_plan_keeps_what_its_prices_read_of_events()
    {
        var sample = PlanPublished(terms: Terms() with
        {
            Charges =
            [
                new PercentageCharge(
                    "sales", "Sales", 0.013m, FreeAmount: 100, FixedAmount: 0.25m, FreeEvents: 3, PerEventMinimum: 0.5m, PerEventMaximum: 5),
                new DynamicCharge("gpu-time", "GPU time", PriceKey: "gpu-hour.h100", UnitSize: 3_600_000),
                new DynamicCharge("messages", "Messages", AmountProperty: "price", MultiplierProperty: "segments"),
                new DynamicCharge("calls", "Calls", MultiplierProperty: "weight", UnitAmount: 0.05m),
            ],
        });
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "plan.version_published.v1.events.json");
        Stored.Events.Deserialize("plan.version_published.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_finalized_invoice_keeps_what_each_product_earned()
    {
        var sample = Finalized() with
        {
            Amounts = [new(LineKind.Usage, new(80_00, Currency.EUR), TheProduct), new(LineKind.Usage, new(20_00, Currency.EUR))],
        };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "invoice.finalized.v1.products.json");
        Stored.Events.Deserialize("invoice.finalized.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_line_names_the_add_on_that_it_is_for()
    {
        var sample = AddOnLine();
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "invoice.line_added.v1.add_on.json");
        Stored.Events.Deserialize("invoice.line_added.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void A_progressive_invoice_says_so()
    {
        var sample = Drafted() with { Progressive = true };
        var json = Stored.Events.Serialize(sample);

        Approve.Text(Pretty.Json(json) + "\n", "invoice.drafted.v1.progressive.json");
        Stored.Events.Deserialize("invoice.drafted.v1", json).ShouldBe(sample);
    }

    [Fact]
    public void Every_event_type_has_a_sample_and_its_state_knows_it()
    {
        Samples.Select(row => row.Data.Item1).ShouldBe(Stored.Events.Names, ignoreOrder: true);

        Fold.After(Tenant.Initial, Of<TenantEvent>()).Exists.ShouldBeTrue();
        Fold.After(ApiKey.Initial, Of<ApiKeyEvent>()).Status.ShouldBe(ApiKeyStatus.Revoked);
        Fold.After(Meter.Initial, Of<MeterEvent>()).Definition.ShouldNotBeNull();
        Fold.After(Product.Initial, Of<ProductEvent>()).Exists.ShouldBeTrue();
        Fold.After(Price.Initial, Of<PriceEvent>()).Exists.ShouldBeTrue();
        Fold.After(CostRate.Initial, Of<CostRateEvent>()).Exists.ShouldBeTrue();
        Fold.After(AddOn.Initial, Of<AddOnEvent>()).Exists.ShouldBeTrue();
        Fold.After(SubscribedAddOn.Initial, Of<SubscribedAddOnEvent>()).IsRemoved.ShouldBeTrue();
        Fold.After(Plan.Initial, Of<PlanEvent>()).LatestVersion.ShouldBe(1);
        Fold.After(Billing.Subscriptions.Subscription.Initial, Of<SubscriptionEvent>()).PeriodNumber.ShouldBe(2);
        Fold.After(TenantEntitlements.Initial, Of<EntitlementsEvent>()).Version.ShouldBe(1);
        Fold.After(Invoice.Initial, Of<InvoiceEvent>()).Status.ShouldBe(InvoiceStatus.Void);
        Fold.After(PaymentMethod.Initial, Of<PaymentMethodEvent>()).Status.ShouldBe(PaymentMethodStatus.Detached);
        Fold.After(Payment.Initial, Of<PaymentEvent>()).Status.ShouldBe(PaymentStatus.Succeeded);
        Fold.After(Coupon.Initial, Of<CouponEvent>()).Status.ShouldBe(CouponStatus.Archived);
        Fold.After(CouponRedemption.Initial, Of<CouponRedemptionEvent>()).EndedAt.ShouldBe(Noon);
        Fold.After(TaxRate.Initial, Of<TaxRateEvent>()).Status.ShouldBe(TaxRateStatus.Archived);
        Fold.After(TaxProfile.Initial, Of<TaxProfileEvent>()).Terms.ShouldNotBeNull();

        Fold.After(TopUps.Initial, Of<TopUpEvent>()).Rule.ShouldBeNull();
        Fold.After(Wallet.Initial, Of<WalletEvent>()).Grants.ShouldHaveSingleItem().Remaining.MinorUnits.ShouldBe(0);

        static IEnumerable<TEvent> Of<TEvent>() => Samples.Select(row => row.Data.Item2).OfType<TEvent>();
    }

    [Fact]
    public void Every_event_family_of_the_process_is_registered()
    {
        var declared = typeof(Stored).Assembly.GetTypes()
            .Where(type => type is { IsAbstract: true, IsClass: true } && type.Name.EndsWith("Event", StringComparison.Ordinal))
            .SelectMany(family => family.GetCustomAttributes<JsonDerivedTypeAttribute>(inherit: false))
            .Select(type => (string)type.TypeDiscriminator!);

        Stored.Events.Names.ShouldBe(declared, ignoreOrder: true);
    }

    [Fact]
    public void An_event_with_a_missing_field_is_refused_not_defaulted() =>
        Should.Throw<System.Text.Json.JsonException>(() => Stored.Events.Deserialize(
            "invoice.finalized.v1", """{"number":"2026-000001","at":"2026-01-31T12:00:00Z"}"""u8));
}
