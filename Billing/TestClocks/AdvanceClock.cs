using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.TestClocks;

/// <summary>
/// Lets a sandbox's time pass up to an instant. Everything that becomes due on the way is done at its moment, in order, as it would be in
/// real time; the answer comes when it is done.
/// </summary>
public static class AdvanceClock
{
    public const int YearsMax = 5;

    public sealed record Advance(Instant To);

    public static Decision<TenantEvent> Decide(Instant to, Tenant tenant) => tenant switch
    {
        { Exists: false } => Refusal.Because("test_clock.not_found", "There is no such test clock."),
        { Clock: null } => Refusal.Because("test_clock.live_tenant", "The time of a live tenant is the real one; only a sandbox has a clock."),
        { Clock: { } clock } when to < clock => Refusal.Because("test_clock.backwards", $"It is {clock} already, and time does not go back.", "to"),
        { Clock: { } clock } when to > Furthest(clock) =>
            Refusal.Because("test_clock.too_far", $"A clock is advanced by at most {YearsMax} years at once.", "to"),
        { Clock: { } clock } when to == clock => [],
        _ => [new TenantClockAdvanced(to)],
    };

    public static void Map(RouteGroupBuilder clocks) =>
        clocks.MapPost("/{tenant}/advance", Handle).WithName(nameof(AdvanceClock)).ForAdmins().Idempotent();

    /// <summary>How far a clock that stands here may be advanced.</summary>
    internal static Instant Furthest(Instant clock) => clock.InUtc().LocalDateTime.PlusYears(YearsMax).InUtc().ToInstant();

    private static async Task<Results<Ok<PassTime.Passed>, ProblemHttpResult>> Handle(
        TenantId tenant, Advance request, Caller caller, PassTime time, CancellationToken cancellation)
    {
        if (!TestClockView.IsOpenTo(caller, tenant))
            return Problems.NotFound("test_clock");

        var (passed, refusal) = await time.To(tenant, request.To.ToMicroseconds(), caller.Cause, cancellation);
        return refusal is null ? TypedResults.Ok(passed!) : refusal.ToProblem();
    }
}
