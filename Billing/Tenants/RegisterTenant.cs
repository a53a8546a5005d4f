using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;
using Messages = Platform.Contracts.Messages;

namespace Platform.Billing.Tenants;

/// <summary>Makes a new customer. From now on it can have keys and subscriptions and submit jobs.</summary>
public static class RegisterTenant
{
    /// <param name="Name">1 to 200 characters.</param>
    /// <param name="Currency">ISO 4217 code; all its plans and invoices are in it.</param>
    /// <param name="TimeZone">IANA name, for example <c>Europe/Berlin</c>.</param>
    /// <param name="BillingAnchorDay">Day of the month on which billing periods begin, 1 to 31; shorter months use their last day.</param>
    /// <param name="Sandbox">A tenant to try things out with, which has a time of its own.</param>
    /// <param name="Clock">The time at which a sandbox begins, of the years 2000 to 2099; now if absent.</param>
    public sealed record NewTenant(
        string Name, Currency Currency, string TimeZone, int BillingAnchorDay = 1, bool Sandbox = false, Instant? Clock = null);

    /// <param name="Clock">Null for a live tenant.</param>
    public sealed record Command(
        TenantId TenantId, string Name, Currency Currency, string TimeZone, int BillingAnchorDay, Instant At, Instant? Clock = null);

    public static Decision<TenantEvent> Decide(Command command, Tenant tenant) => tenant.Exists
        ? []
        :
        [
            new TenantRegistered(
                command.TenantId, command.Name, command.Currency, command.TimeZone, command.BillingAnchorDay, command.At,
                command.Clock),
        ];

    /// <summary>What other processes learn of it.</summary>
    public static IEnumerable<object> Publish(IReadOnlyList<TenantEvent> events) => events.OfType<TenantRegistered>()
        .Select(it => new Messages.TenantRegistered(it.TenantId, it.Name, it.Currency, it.TimeZone, it.At, Sandbox: it.Clock is not null));

    public static void Map(RouteGroupBuilder tenants) =>
        tenants.MapPost("/", Handle).WithName(nameof(RegisterTenant)).ForOperators().Idempotent();

    /// <exception cref="InvalidRequestException">Every field that is wrong.</exception>
    public static void Validate(NewTenant request) => new FieldErrors()
        .RequireDisplayName(request.Name, "name")
        .Require(
            DateTimeZoneProviders.Tzdb.GetZoneOrNull(request.TimeZone) is not null, "time_zone",
            "Not an IANA time zone, for example Europe/Berlin.")
        .Require(request.BillingAnchorDay is >= 1 and <= 31, "billing_anchor_day", "A day of the month, 1 to 31.")
        .Require(request.Clock is null || request.Sandbox, "clock", "Only a sandbox has a clock of its own.")
        .Require(request.Clock is null || request.Clock.Value.InUtc().Year is >= 2000 and < 2100, "clock", "The years 2000 to 2099.")
        .ThrowIfAny();

    private static async Task<Created<TenantView>> Handle(
        NewTenant request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        Validate(request);
        var now = clock.Now();
        var command = new Command(
            new(requestId.Value), request.Name, request.Currency, request.TimeZone, request.BillingAnchorDay, now,
            request.Sandbox ? request.Clock?.ToMicroseconds() ?? now : null);

        await store.Decide<Tenant, TenantEvent>(
            Tenant.Stream(command.TenantId), tenant => Decide(command, tenant), caller.Cause, cancellation, Publish);

        var view = await TenantView.Find(documents, command.TenantId, cancellation);
        return TypedResults.Created($"/v1/tenants/{command.TenantId}", view!);
    }
}
