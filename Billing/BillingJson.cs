using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Invoices;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Billing.Usage;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing;

[JsonSerializable(typeof(TenantEvent))]
[JsonSerializable(typeof(TenantView))]
[JsonSerializable(typeof(Page<TenantView>))]
[JsonSerializable(typeof(RegisterTenant.Request))]
[JsonSerializable(typeof(ApiKeyEvent))]
[JsonSerializable(typeof(ApiKeyRecord))]
[JsonSerializable(typeof(Page<ApiKeyView>))]
[JsonSerializable(typeof(IssueApiKey.Request))]
[JsonSerializable(typeof(IssueApiKey.Answer))]
[JsonSerializable(typeof(MeterEvent))]
[JsonSerializable(typeof(MeterView))]
[JsonSerializable(typeof(Page<MeterView>))]
[JsonSerializable(typeof(DefineMeter.Request))]
[JsonSerializable(typeof(PlanEvent))]
[JsonSerializable(typeof(PlanView))]
[JsonSerializable(typeof(Page<PlanView>))]
[JsonSerializable(typeof(PublishPlan.Request))]
[JsonSerializable(typeof(PublishPlan.VersionRequest))]
[JsonSerializable(typeof(SubscriptionEvent))]
[JsonSerializable(typeof(SubscriptionView))]
[JsonSerializable(typeof(Page<SubscriptionView>))]
[JsonSerializable(typeof(StartSubscription.Request))]
[JsonSerializable(typeof(InvoiceEvent))]
[JsonSerializable(typeof(InvoiceView))]
[JsonSerializable(typeof(Page<InvoiceView>))]
[JsonSerializable(typeof(ReportUsage.Event))]
[JsonSerializable(typeof(ReportUsage.Answer))]
[JsonSerializable(typeof(UsageByWindow.Answer))]
[JsonSerializable(typeof(Page<UsageEventView>))]
[JsonSerializable(typeof(Page<AttemptView>))]
[JsonSerializable(typeof(AttemptChain))]
[JsonSerializable(typeof(Page<QuarantinedBatch>))]
[JsonSerializable(typeof(UsageReported))]
[JsonSerializable(typeof(Dictionary<string, string>))]
public sealed partial class BillingJson : JsonSerializerContext
{
    /// <summary>For events, views and other rows in the database.</summary>
    public static readonly JsonSerializerOptions Storage = PlatformJson.ForStorage(Default);

    /// <summary>Every event this process records, under its permanent name.</summary>
    public static readonly EventTypes Events = new(
        Storage,
        typeof(TenantEvent), typeof(ApiKeyEvent), typeof(MeterEvent), typeof(PlanEvent), typeof(SubscriptionEvent),
        typeof(InvoiceEvent));

    /// <summary>Every message this process publishes.</summary>
    public static readonly MessageTypes Messages = new(
        Contracts.ContractsJson.Options,
        typeof(Contracts.Messages.TenantRegistered), typeof(Contracts.Messages.ApiKeyIssued),
        typeof(Contracts.Messages.ApiKeyRevoked), typeof(Contracts.Messages.InvoiceFinalized));

    public static JsonTypeInfo<T> Stored<T>() => (JsonTypeInfo<T>)Storage.GetTypeInfo(typeof(T));
}
