using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Platform.Billing.AddOns;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Coupons;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Revenue;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Billing.Tenants;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing;

/// <summary>How events, views and messages are written into the database.</summary>
public static class Stored
{
    public static readonly JsonSerializerOptions Options = PlatformJson.ForStorage(BillingJson.Default);

    /// <summary>Every event this process records, under its permanent name.</summary>
    public static readonly EventTypes Events = new(
        Options,
        typeof(TenantEvent), typeof(ApiKeyEvent), typeof(MeterEvent), typeof(ProductEvent), typeof(PriceEvent), typeof(PlanEvent),
        typeof(AddOnEvent), typeof(SubscriptionEvent), typeof(SubscribedAddOnEvent), typeof(InvoiceEvent), typeof(PaymentMethodEvent),
        typeof(PaymentEvent), typeof(EntitlementsEvent), typeof(CouponEvent), typeof(CouponRedemptionEvent), typeof(TaxRateEvent),
        typeof(TaxProfileEvent), typeof(WalletEvent), typeof(TopUpEvent), typeof(CostRateEvent));

    /// <summary>Every message this process publishes.</summary>
    public static readonly MessageTypes MessageTypes = new(
        ContractsJson.Options,
        typeof(Messages.TenantRegistered), typeof(Messages.ApiKeyIssued), typeof(Messages.ApiKeyRevoked),
        typeof(Messages.InvoiceFinalized), typeof(Messages.TenantSuspended), typeof(Messages.TenantReinstated),
        typeof(Messages.EntitlementsChanged));

    public static JsonTypeInfo<T> Json<T>() => (JsonTypeInfo<T>)Options.GetTypeInfo(typeof(T));
}
