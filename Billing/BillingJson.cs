using System.Text.Json.Serialization;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Dunning;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Ledger;
using Platform.Billing.Payments;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Billing.TestClocks;
using Platform.Billing.Usage;
using Platform.Billing.Wallets;
using Platform.Contracts.Messages;
using Platform.Contracts.Verification;
using Platform.ServiceDefaults;

namespace Platform.Billing;

[JsonSerializable(typeof(TenantEvent))]
[JsonSerializable(typeof(TenantView))]
[JsonSerializable(typeof(Page<TenantView>))]
[JsonSerializable(typeof(RegisterTenant.NewTenant))]
[JsonSerializable(typeof(AdvanceClock.Advance))]
[JsonSerializable(typeof(PassTime.Passed))]
[JsonSerializable(typeof(TestClockView))]
[JsonSerializable(typeof(CreditNoteView))]
[JsonSerializable(typeof(Page<CreditNoteView>))]
[JsonSerializable(typeof(IssueCreditNote.NewCreditNote))]
[JsonSerializable(typeof(WalletEvent))]
[JsonSerializable(typeof(WalletView))]
[JsonSerializable(typeof(CreditGrantView))]
[JsonSerializable(typeof(Page<CreditGrantView>))]
[JsonSerializable(typeof(WalletTransaction))]
[JsonSerializable(typeof(Page<WalletTransaction>))]
[JsonSerializable(typeof(GrantCredit.NewGrant))]
[JsonSerializable(typeof(VoidCredit.Voiding))]
[JsonSerializable(typeof(ApiKeyEvent))]
[JsonSerializable(typeof(ApiKeyRecord))]
[JsonSerializable(typeof(Page<ApiKeyView>))]
[JsonSerializable(typeof(IssueApiKey.NewApiKey))]
[JsonSerializable(typeof(IssueApiKey.IssuedApiKey))]
[JsonSerializable(typeof(MeterEvent))]
[JsonSerializable(typeof(MeterView))]
[JsonSerializable(typeof(Page<MeterView>))]
[JsonSerializable(typeof(DefineMeter.NewMeter))]
[JsonSerializable(typeof(DefineMeter.NewMeterVersion))]
[JsonSerializable(typeof(PlanEvent))]
[JsonSerializable(typeof(PlanView))]
[JsonSerializable(typeof(Page<PlanView>))]
[JsonSerializable(typeof(PublishPlan.NewPlan))]
[JsonSerializable(typeof(PublishPlan.NewPlanVersion))]
[JsonSerializable(typeof(PreviewRating.RatingRequest))]
[JsonSerializable(typeof(PreviewRating.RatingPreview))]
[JsonSerializable(typeof(SubscriptionEvent))]
[JsonSerializable(typeof(SubscriptionView))]
[JsonSerializable(typeof(Page<SubscriptionView>))]
[JsonSerializable(typeof(StartSubscription.NewSubscription))]
[JsonSerializable(typeof(CancelSubscription.Cancellation))]
[JsonSerializable(typeof(ChangePlan.PlanChange))]
[JsonSerializable(typeof(PreviewInvoice.Preview))]
[JsonSerializable(typeof(ExplainInvoice.Explained))]
[JsonSerializable(typeof(ReplayInvoice.Replayed))]
[JsonSerializable(typeof(ChangeQuantity.QuantityChange))]
[JsonSerializable(typeof(PauseSubscription.Pause))]
[JsonSerializable(typeof(InvoiceEvent))]
[JsonSerializable(typeof(InvoiceView))]
[JsonSerializable(typeof(Page<InvoiceView>))]
[JsonSerializable(typeof(ChangeBillingSettings.NewSettings))]
[JsonSerializable(typeof(VoidInvoice.Reasoned))]
[JsonSerializable(typeof(PaymentMethodEvent))]
[JsonSerializable(typeof(PaymentMethodRecord))]
[JsonSerializable(typeof(Page<PaymentMethodView>))]
[JsonSerializable(typeof(AttachPaymentMethod.NewPaymentMethod))]
[JsonSerializable(typeof(PaymentEvent))]
[JsonSerializable(typeof(PaymentView))]
[JsonSerializable(typeof(Page<PaymentView>))]
[JsonSerializable(typeof(RecordPayment.NewPayment))]
[JsonSerializable(typeof(SandboxWebhook.GatewayEvent))]
[JsonSerializable(typeof(Page<ReceivablesAgeing>))]
[JsonSerializable(typeof(Page<LedgerPosting>))]
[JsonSerializable(typeof(LedgerBalances))]
[JsonSerializable(typeof(UsageProof))]
[JsonSerializable(typeof(ReportUsage.ReportedEvent))]
[JsonSerializable(typeof(ReportUsage.UsageReport))]
[JsonSerializable(typeof(ReportUsage.LineResult))]
[JsonSerializable(typeof(UsageByWindow.MeteredUsage))]
[JsonSerializable(typeof(Page<UsageEventView>))]
[JsonSerializable(typeof(MeasuredEvent))]
[JsonSerializable(typeof(Page<MeasuredEvent>))]
[JsonSerializable(typeof(CorrectUsage.NewCorrection))]
[JsonSerializable(typeof(UsageCorrection))]
[JsonSerializable(typeof(Page<UsageConflict>))]
[JsonSerializable(typeof(Page<AttemptView>))]
[JsonSerializable(typeof(AttemptChain))]
[JsonSerializable(typeof(Page<QuarantinedBatch>))]
[JsonSerializable(typeof(RollUpView.RollUps))]
[JsonSerializable(typeof(UsageReported))]
[JsonSerializable(typeof(Dictionary<string, string>))]
public sealed partial class BillingJson : JsonSerializerContext;
