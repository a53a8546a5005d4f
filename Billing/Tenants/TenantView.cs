using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Tenants;

/// <summary>The tenant as people read it.</summary>
/// <param name="Clock">What time it is for a sandbox; null for a live tenant, whose time is the real one.</param>
/// <param name="SuspendedAt">Set while it may not submit jobs, because invoices stayed unpaid.</param>
public sealed record TenantView(
    TenantId TenantId, string Name, Currency Currency, string TimeZone, int BillingAnchorDay, Instant RegisteredAt, Instant? Clock = null,
    Instant? SuspendedAt = null)
{
    public const string Table = "tenants";

    /// <summary>
    /// An SQL condition over a column <c>tenant_id</c>, for the system role: rows of live tenants. What the passing of real time brings
    /// about concerns them alone.
    /// </summary>
    public const string IsLive = "tenant_id not in (select tenant_id from billing.tenants where data ->> 'clock' is not null)";

    /// <summary>How it is invoiced and pays.</summary>
    public BillingSettings BillingSettings { get; init; } = BillingSettings.Default;

    /// <summary>A tenant to try things out with: it has a time of its own, and its invoices are owed by nobody.</summary>
    public bool Sandbox => Clock is not null;

    public static void Map(RouteGroupBuilder tenants)
    {
        tenants.MapGet("/", List).WithName("ListTenants").ForOperators();
        tenants.MapGet("/{id}", Get).WithName("GetTenant");
    }

    /// <summary>Null for a tenant that does not exist.</summary>
    public static Task<TenantView?> Find(Documents documents, TenantId tenant, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, tenant.Value, Stored.Json<TenantView>(), cancellation);

    private static async Task<Ok<Page<TenantView>>> List(
        [AsParameters] PageQuery page, Documents documents, CancellationToken cancellation)
    {
        var rows = await documents.ListAllTenants(
            Table, Stored.Json<TenantView>(), page.Size + 1, page.After, newestFirst: false, cancellation);
        return TypedResults.Ok(page.Of([.. rows.Select(row => row.View)], tenant => tenant.TenantId.Value));
    }

    private static async Task<Results<Ok<TenantView>, ProblemHttpResult>> Get(
        TenantId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        (caller.IsOperator || caller.TenantId == id) && await Find(documents, id, cancellation) is { } tenant
            ? TypedResults.Ok(tenant)
            : Problems.NotFound("tenant");
}

public sealed class TenantProjection : DocumentProjection<TenantView, TenantEvent>
{
    public override string Name => "tenants";

    protected override string Table => TenantView.Table;

    protected override JsonTypeInfo<TenantView> Json => Stored.Json<TenantView>();

    protected override TenantView? Fold(TenantView? view, TenantEvent @event, RecordedEvent recorded) => @event switch
    {
        TenantRegistered it => new(it.TenantId, it.Name, it.Currency, it.TimeZone, it.BillingAnchorDay, it.At, it.Clock),
        TenantClockAdvanced it => view! with { Clock = it.To },
        BillingSettingsChanged it => view! with { BillingSettings = it.Settings },
        TenantSuspended it => view! with { SuspendedAt = it.At },
        TenantReinstated => view! with { SuspendedAt = null },
        _ => throw new UnreachableException($"TenantView does not know {@event.GetType().Name}."),
    };
}
