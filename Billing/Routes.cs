using Platform.Billing.AddOns;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Coupons;
using Platform.Billing.CreditNotes;
using Platform.Billing.Dunning;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Billing.Ledger;
using Platform.Billing.Paper;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Revenue;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Billing.Tenants;
using Platform.Billing.TestClocks;
using Platform.Billing.Usage;
using Platform.Billing.Wallets;

namespace Platform.Billing;

/// <summary>Every route of the process, one group per area.</summary>
public static class Routes
{
    extension(IEndpointRouteBuilder app)
    {
        public void MapBilling()
        {
            var tenants = app.MapGroup("/v1/tenants").WithTags("Tenants");
            RegisterTenant.Map(tenants);
            ChangeBillingSettings.Map(tenants);
            TenantView.Map(tenants);
            SetTaxProfile.Map(tenants);
            TaxProfileView.Map(tenants);

            var taxRates = app.MapGroup("/v1/tax-rates").WithTags("Taxes");
            PublishTaxRate.Map(taxRates);
            ArchiveTaxRate.Map(taxRates);
            TaxRateView.Map(taxRates);

            var clocks = app.MapGroup("/v1/test-clocks").WithTags("Test clocks");
            AdvanceClock.Map(clocks);
            TestClockView.Map(clocks);

            var wallet = app.MapGroup("/v1/wallet").WithTags("Wallet");
            GrantCredit.Map(wallet);
            VoidCredit.Map(wallet);
            WalletView.Map(wallet);
            WalletTransaction.Map(wallet);
            TopUpWallet.Map(wallet);
            SetTopUpRule.Map(wallet);
            RemoveTopUpRule.Map(wallet);
            TopUpRuleView.Map(wallet);

            var keys = app.MapGroup("/v1/api-keys").WithTags("API keys");
            IssueApiKey.Map(keys);
            RevokeApiKey.Map(keys);
            ApiKeyView.Map(keys);

            var meters = app.MapGroup("/v1/meters").WithTags("Meters");
            DefineMeter.Map(meters);
            MeterView.Map(meters);

            var products = app.MapGroup("/v1/products").WithTags("Products");
            DefineProduct.Map(products);
            ProductView.Map(products);

            var prices = app.MapGroup("/v1/prices").WithTags("Prices");
            PublishPrice.Map(prices);
            PriceView.Map(prices);

            var plans = app.MapGroup("/v1/plans").WithTags("Plans");
            PublishPlan.Map(plans);
            PlanView.Map(plans);

            var addOns = app.MapGroup("/v1/add-ons").WithTags("Add-ons");
            DefineAddOn.Map(addOns);
            AddOnView.Map(addOns);

            var coupons = app.MapGroup("/v1/coupons").WithTags("Coupons");
            CreateCoupon.Map(coupons);
            ArchiveCoupon.Map(coupons);
            CouponView.Map(coupons);
            var redemptions = coupons.MapGroup("/redemptions");
            RedeemCoupon.Map(redemptions);
            EndRedemption.Map(redemptions);
            CouponRedemptionView.Map(redemptions);

            PreviewRating.Map(app.MapGroup("/v1/rating").WithTags("Rating"));

            var subscriptions = app.MapGroup("/v1/subscriptions").WithTags("Subscriptions");
            StartSubscription.Map(subscriptions);
            ClosePeriodNow.Map(subscriptions);
            ChangePlan.Map(subscriptions);
            ChangeQuantity.Map(subscriptions);
            ChangeTrial.Map(subscriptions);
            PauseSubscription.Map(subscriptions);
            CancelSubscription.Map(subscriptions);
            SubscriptionView.Map(subscriptions);
            AttachAddOn.Map(subscriptions);
            RemoveAddOn.Map(subscriptions);
            SubscribedAddOnView.Map(subscriptions);

            EntitlementsView.Map(app.MapGroup("/v1/entitlements").WithTags("Entitlements"));

            var usage = app.MapGroup("/v1/usage").WithTags("Usage");
            ReportUsage.Map(usage);
            UsageByWindow.Map(usage);
            RollUpView.Map(usage);
            MeasuredEvent.Map(usage);
            ExportUsage.Map(usage);
            UsageEventView.Map(usage);
            CorrectUsage.Map(usage);
            UsageConflict.Map(usage);
            AttemptView.Map(usage);
            QuarantinedBatch.Map(usage);

            var invoices = app.MapGroup("/v1/invoices").WithTags("Invoices");
            InvoiceView.Map(invoices);
            UpcomingInvoice.Map(invoices);
            VoidInvoice.Map(invoices);
            WriteOffInvoice.Map(invoices);
            PayInvoice.Map(invoices);
            RecordPayment.Map(invoices);
            InvoiceDocument.Map(invoices);
            ProveUsage.Map(invoices);
            PreviewInvoice.Map(invoices);
            ExplainInvoice.Map(invoices);
            ReplayInvoice.Map(invoices);
            IssueCreditNote.Map(invoices);

            var creditNotes = app.MapGroup("/v1/credit-notes").WithTags("Credit notes");
            CreditNoteView.Map(creditNotes);
            CreditNoteDocument.Map(creditNotes);

            var methods = app.MapGroup("/v1/payment-methods").WithTags("Payments");
            AttachPaymentMethod.Map(methods);
            DetachPaymentMethod.Map(methods);
            PaymentMethodView.Map(methods);
            var payments = app.MapGroup("/v1/payments").WithTags("Payments");
            PaymentView.Map(payments);
            RefundPayment.Map(payments);
            RefundView.Map(app.MapGroup("/v1/refunds").WithTags("Payments"));
            SandboxWebhook.Map(app.MapGroup("/v1/payment-webhooks").WithTags("Payments"));

            ReceivablesAgeing.Map(app.MapGroup("/v1/receivables").WithTags("Receivables"));

            var revenue = app.MapGroup("/v1/revenue").WithTags("Revenue");
            MonthlyRecurringRevenue.Map(revenue);
            MrrMonth.Map(revenue);
            ProductRevenue.Map(revenue);
            TenantMargin.Map(revenue);

            var costRates = app.MapGroup("/v1/cost-rates").WithTags("Revenue");
            PublishCostRate.Map(costRates);
            CostRateView.Map(costRates);

            var ledger = app.MapGroup("/v1/ledger").WithTags("Ledger");
            LedgerPosting.Map(ledger);
            LedgerBalances.Map(ledger);

            FocusExport.Map(app.MapGroup("/v1/exports").WithTags("Exports"));
        }
    }
}
