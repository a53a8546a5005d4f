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
    public sealed record NewTenant(string Name, Currency Currency, string TimeZone, int BillingAnchorDay = 1);

    public sealed record Command(
        TenantId TenantId, string Name, Currency Currency, string TimeZone, int BillingAnchorDay, Instant At);

    public static Decision<TenantEvent> Decide(Command command, Tenant tenant) => tenant.Exists
        ? []
        :
        [
            new TenantRegistered(
                command.TenantId, command.Name, command.Currency, command.TimeZone, command.BillingAnchorDay, command.At),
        ];

    /// <summary>What other processes learn of it.</summary>
    public static IEnumerable<object> Publish(IReadOnlyList<TenantEvent> events) => events.OfType<TenantRegistered>()
        .Select(it => new Messages.TenantRegistered(it.TenantId, it.Name, it.Currency, it.TimeZone, it.At));

    public static void Map(RouteGroupBuilder tenants) =>
        tenants.MapPost("/", Handle).WithName(nameof(RegisterTenant)).ForOperators().Idempotent();

    /// <exception cref="InvalidRequestException">Every field that is wrong.</exception>
    public static void Validate(NewTenant request) => new FieldErrors()
        .Require(!string.IsNullOrWhiteSpace(request.Name) && request.Name.Length <= 200, "name", "1 to 200 characters are needed.")
        .Require(
            DateTimeZoneProviders.Tzdb.GetZoneOrNull(request.TimeZone) is not null, "time_zone",
            "Not an IANA time zone, for example Europe/Berlin.")
        .Require(request.BillingAnchorDay is >= 1 and <= 31, "billing_anchor_day", "A day of the month, 1 to 31.")
        .ThrowIfAny();

    private static async Task<Created<TenantView>> Handle(
        NewTenant request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation)
    {
        Validate(request);
        var command = new Command(
            new(requestId.Value), request.Name, request.Currency, request.TimeZone, request.BillingAnchorDay, clock.Now());

        await store.Decide<Tenant, TenantEvent>(
            Tenant.Stream(command.TenantId), tenant => Decide(command, tenant), caller.Cause, cancellation, Publish);

        var view = await TenantView.Find(documents, command.TenantId, cancellation);
        return TypedResults.Created($"/v1/tenants/{command.TenantId}", view!);
    }
}
