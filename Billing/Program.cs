using MassTransit;
using Platform.Billing;
using Platform.Billing.AddOns;
using Platform.Billing.ApiKeys;
using Platform.Billing.Catalog;
using Platform.Billing.Coupons;
using Platform.Billing.CreditNotes;
using Platform.Billing.Dunning;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Billing.Ledger;
using Platform.Billing.Payments;
using Platform.Billing.Recurring;
using Platform.Billing.Revenue;
using Platform.Billing.Subscriptions;
using Platform.Billing.Taxes;
using Platform.Billing.Tenants;
using Platform.Billing.TestClocks;
using Platform.Billing.Usage;
using Platform.Billing.Wallets;
using Platform.EventStore;
using Platform.ServiceDefaults;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults("billing", BillingJson.Default);

var (application, system) = (Connection("Application"), Connection("System"));
builder.Services
    .AddEventStore(
        new(BillingDatabase.Schema, application, system), Stored.Events, Stored.MessageTypes)
    .AddSingleton(_ => new BillingDatabase(application, system))
    .AddSingleton<IApiKeyDirectory, ApiKeyDirectory>()
    .AddSingleton<Projection, TenantProjection>()
    .AddSingleton<Projection, CreditNoteProjection>()
    .AddSingleton<Projection, CreditGrantRows>()
    .AddSingleton<Projection, WalletTransactionProjection>()
    .AddSingleton<Projection, TopUpRows>()
    .AddSingleton<Projection, ApiKeyProjection>()
    .AddSingleton<Projection, MeterProjection>()
    .AddSingleton<Projection, ProductProjection>()
    .AddSingleton<Projection, PriceProjection>()
    .AddSingleton<Projection, PlanProjection>()
    .AddSingleton<Projection, AddOnProjection>()
    .AddSingleton<Projection, CouponProjection>()
    .AddSingleton<Projection, CouponRedemptionProjection>()
    .AddSingleton<Projection, TaxRateProjection>()
    .AddSingleton<Projection, TaxProfileProjection>()
    .AddSingleton<Projection, SubscriptionProjection>()
    .AddSingleton<Projection, SubscribedAddOnProjection>()
    .AddSingleton<Projection, BillingPeriodRows>()
    .AddSingleton<Projection, EntitlementsProjection>()
    .AddSingleton<Projection, InvoiceProjection>()
    .AddSingleton<Projection, LedgerEntries>()
    .AddSingleton<Projection, RecurringRevenueProjection>()
    .AddSingleton<Projection, CostRateProjection>()
    .AddSingleton<BilledPlans>()
    .AddSingleton<ComposeInvoice>()
    .AddSingleton<PreviewInvoice>()
    .AddSingleton<InvoiceParts>()
    .AddSingleton<Projection, Receivables>()
    .AddSingleton<Projection, PaymentMethodProjection>()
    .AddSingleton<Projection, PaymentProjection>()
    .AddSingleton<Projection, RefundProjection>()
    .AddSingleton<InvoicePeriod>()
    .AddSingleton<ChangeSubscription>()
    .AddSingleton<ChangeInvoice>()
    .AddSingleton<ChargePayment>()
    .AddSingleton<MakeRefund>()
    .AddSingleton<RefundCreditNote>()
    .AddSingleton<IPaymentGateway, SandboxGateway>()
    .AddSingleton(services => SandboxWebhook.Settings.From(services.GetRequiredService<IConfiguration>()))
    .AddSingleton<TenantClock>()
    .AddDueWork()
    .AddSingleton<PassTime>()
    .AddSingleton<UsageIntake>()
    .AddSingleton<ReportedMeters>()
    .AddSingleton<ReportedUsage>()
    .AddSingleton<ReportUsageLines>()
    .AddSingleton(services => UsageAdmission.From(services.GetRequiredService<IConfiguration>()))
    .AddSingleton<TakeUsageBatch>()
    .AddSingleton(services => UsageLimits.From(services.GetRequiredService<IConfiguration>()))
    .AddSingleton<RollUpUsage>()
    .AddHostedService<UsageMonths>()
    .AddHostedService<UsageRoller>()
    .AddSingleton<SealUsage>()
    .AddSingleton<UsageSealer>()
    .AddHostedService(services => services.GetRequiredService<UsageSealer>())
    .AddHostedService<BootstrapOperator>();
builder.AddPlatformBus("billing", bus =>
{
    bus.AddConsumer<JobPlacedConsumer>();
    bus.AddConsumer<WorkerRegisteredConsumer>();
    bus.AddConsumer<UsageReportedConsumer>();
    bus.AddConsumer<CloseBillingPeriodsConsumer>();
});

var app = builder.Build();

// Tables and queues before the first process starts, so that no message is published into nothing.
if (args is ["migrate", ..])
{
    await Migrations.Run(
        Connection("Owner"), BillingDatabase.Schema, BillingDatabase.ApplicationRole, BillingDatabase.SystemRole,
        typeof(Program).Assembly, CancellationToken.None);
    await app.Services.DeployBusTopology(CancellationToken.None);
    return;
}

// Makes one view again from the events, or all, beside the running processes.
if (args is ["rebuild", var name, ..])
{
    var rebuild = app.Services.GetRequiredService<Rebuild>();
    foreach (var projection in name == "all" ? rebuild.Projections : [name])
        Console.WriteLine($"{projection}: {await rebuild.Run(projection, CancellationToken.None)} events folded");
    return;
}

// Takes old raw usage out of the ledger, beside the running processes.
if (args is ["retain-usage", ..])
{
    var done = await RetainUsage.Run(
        Connection("Owner"), UsageRetention.From(app.Configuration), UsageLimits.From(app.Configuration), TimeProvider.System.Now(),
        CancellationToken.None);
    foreach (var line in done)
        Console.WriteLine(line);
    return;
}

// Makes the sums of usage by hour again from the ledger, beside the running processes.
if (args is ["rebuild-usage-rollups", ..])
{
    Console.WriteLine($"{await app.Services.GetRequiredService<RollUpUsage>().Rebuild(CancellationToken.None)} roll-ups made again");
    return;
}

app.UseServiceDefaults();
app.MapBilling();
await app.RunAsync();

string Connection(string name) => builder.Configuration.GetConnectionString(name)
    ?? throw new InvalidOperationException($"ConnectionStrings__{name} is not set.");
