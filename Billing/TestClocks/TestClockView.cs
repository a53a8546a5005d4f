using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.TestClocks;

/// <summary>A sandbox's clock.</summary>
/// <param name="Clock">What time it is for the sandbox.</param>
/// <param name="NextDueAt">When something is due next, within as long as a clock is advanced at once; null where nothing is.</param>
public sealed record TestClockView(TenantId TenantId, Instant Clock, Instant? NextDueAt)
{
    public static void Map(RouteGroupBuilder clocks) => clocks.MapGet("/{tenant}", Get).WithName("GetTestClock");

    /// <summary>Its own tenant's keys and operators' may ask for a clock; for everybody else there is none.</summary>
    public static bool IsOpenTo(Caller caller, TenantId tenant) => caller.IsOperator || caller.TenantId == tenant;

    private static async Task<Results<Ok<TestClockView>, ProblemHttpResult>> Get(
        TenantId tenant, Caller caller, Documents documents, PassTime time, CancellationToken cancellation)
    {
        if (!IsOpenTo(caller, tenant) || await TenantView.Find(documents, tenant, cancellation) is not { Clock: { } clock })
            return Problems.NotFound("test_clock");

        var next = await time.NextDue(tenant, AdvanceClock.Furthest(clock), cancellation);
        return TypedResults.Ok(new TestClockView(tenant, clock, next));
    }
}
