using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Entitlements;
using Platform.Billing.Invoices;
using Platform.Billing.Rating;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>Puts a tenant on a version of a plan. Its first period runs to where the next one begins by its anchor.</summary>
public static class StartSubscription
{
    public const int BackdateYearsMax = 1;
    public static readonly Duration TrialMax = Duration.FromDays(366 * 2);

    /// <param name="PlanVersion">The newest one if absent.</param>
    /// <param name="StartedAt">Now if absent; at most a year ago, and not in the future.</param>
    /// <param name="Anchor">The calendar if absent.</param>
    /// <param name="Quantity">How many times the plan's fee is owed, 1 to 1000000.</param>
    /// <param name="TrialEnd">
    /// As the plan says if absent; one that is not after the start: no trial. A later one than the plan's is an operator's to give, at most two
    /// years after the start.
    /// </param>
    public sealed record NewSubscription(
        PlanId PlanId, int? PlanVersion = null, Instant? StartedAt = null, BillingAnchor Anchor = BillingAnchor.Calendar,
        int Quantity = 1, Instant? TrialEnd = null);

    /// <param name="Plan">Null where there is no such plan.</param>
    /// <param name="MetersBilled">Meters that a subscription of the tenant bills at that time or later.</param>
    /// <param name="MayExtendTrial">Who gives away a longer trial than the plan's is the operator.</param>
    public sealed record Command(
        SubscriptionId SubscriptionId, TenantView Tenant, PlanView? Plan, int? PlanVersion, BillingAnchor Anchor,
        IReadOnlyCollection<string> MetersBilled, Instant StartedAt, Instant At, int Quantity = 1, Instant? TrialEnd = null,
        bool MayExtendTrial = false);

    public static Decision<SubscriptionEvent> Decide(Command command, Subscription subscription)
    {
        if (subscription.Exists)
            return [];
        if (RefusePlan(command.Plan, command.PlanVersion, "plan_version", command.Tenant.Currency, command.MetersBilled) is { } unfit)
            return unfit;
        if (command.StartedAt > command.At)
            return Refusal.Because("subscription.starts_in_future", "A subscription cannot start in the future.", "started_at");
        if (command.StartedAt < command.At - Duration.FromDays(366 * BackdateYearsMax))
            return Refusal.Because("subscription.starts_too_early", "A subscription can start at most a year ago.", "started_at");

        if (command.TrialEnd > command.StartedAt + TrialMax)
            return Refusal.Because("subscription.trial_too_long", "A trial ends at most two years after the start.", "trial_end");

        var (tenant, plan, version) = (command.Tenant, command.Plan!, command.PlanVersion ?? command.Plan!.LatestVersion);
        var (zone, terms) = (DateTimeZoneProviders.Tzdb[tenant.TimeZone], plan.TermsOf(version)!);
        var planned = PlannedTrialEnd(command.StartedAt, terms, zone);
        if (command.TrialEnd > (planned ?? command.StartedAt) && !command.MayExtendTrial)
        {
            return Refusal.Because(
                "subscription.trial_extension.forbidden", "Only an operator can give a longer trial than the plan's.", "trial_end");
        }

        var trialEnd = command.TrialEnd ?? planned;
        if (trialEnd <= command.StartedAt)
            trialEnd = null;
        var cycle = Cycle(command, terms, (trialEnd ?? command.StartedAt).InZone(zone).Date);
        var firstEnd = trialEnd ?? (terms.FeeTiming == FeeTiming.InAdvance
            ? command.StartedAt
            : BillingPeriods.Containing(command.StartedAt, cycle, zone).End);
        return
        [
            new SubscriptionStarted(
                command.SubscriptionId, tenant.TenantId, plan.PlanId, version, tenant.TimeZone, command.Anchor, tenant.BillingAnchorDay,
                cycle, terms.RecurringFee, command.StartedAt, firstEnd, command.Quantity, command.At, trialEnd),
        ];
    }

    // Days are the tenant's, and the first day is one of them.
    private static Instant? PlannedTrialEnd(Instant start, PlanTerms terms, DateTimeZone zone) =>
        terms.TrialDays > 0 ? BillingPeriods.StartOfDay(start.InZone(zone).Date.PlusDays(terms.TrialDays), zone) : null;

    private static BillingCycle Cycle(Command command, PlanTerms terms, LocalDate paidFrom) =>
        (command.Anchor == BillingAnchor.Calendar
            ? BillingCycle.OfCalendar(terms.Interval, command.Tenant.BillingAnchorDay, paidFrom)
            : new(terms.Interval, paidFrom)) with
        { FeeTiming = terms.FeeTiming };

    /// <summary>Whether a tenant may be on a plan at all.</summary>
    /// <param name="version">The newest one if null; named <paramref name="versionField"/> in the request.</param>
    public static Refusal? RefusePlan(
        PlanView? plan, int? version, string versionField, Currency currency, IReadOnlyCollection<string> metersBilled)
    {
        if (plan is null)
            return Refusal.Because("subscription.plan_unknown", "There is no such plan.", "plan_id");
        if (plan.TermsOf(version ?? plan.LatestVersion) is not { } terms)
            return Refusal.Because("subscription.plan_version_unknown", "The plan has no such version.", versionField);
        if (plan.Currency != currency)
            return Refusal.Because("subscription.currency_differs", $"The tenant is billed in {currency}.", "plan_id");

        // Otherwise the same usage would be on two invoices.
        return terms.Charges.Select(charge => charge.Meter).FirstOrDefault(metersBilled.Contains) is { } twice
            ? Refusal.Because("subscription.meter_already_billed", $"Another subscription already bills {twice}.")
            : null;
    }

    public static void Map(RouteGroupBuilder subscriptions) =>
        subscriptions.MapPost("/", Handle).WithName(nameof(StartSubscription)).ForAdmins().Idempotent();

    private static async Task<Results<Created<SubscriptionView>, ProblemHttpResult>> Handle(
        NewSubscription request, Caller caller, RequestId requestId, EventStore.EventStore store, InvoicePeriod invoices,
        Documents documents, TenantClock clock, CancellationToken cancellation)
    {
        if (request.Quantity is < 1 or > ChangeQuantity.QuantityMax)
            throw new InvalidRequestException("quantity", "1 to 1000000.");
        if (await TenantView.Find(documents, caller.TenantId, cancellation) is not { } tenant)
            return Problems.NotFound("tenant");

        var id = new SubscriptionId(requestId.Value);
        var at = await clock.Now(caller.TenantId, cancellation);
        var plan = await PlanView.Find(documents, request.PlanId, cancellation);

        var refused = await store.Transact(
            tenant.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var startedAt = request.StartedAt?.ToMicroseconds() ?? at;
                var billed = await BilledMeters.Read(transaction, documents, startedAt, except: id, token);
                var command = new Command(
                    id, tenant, plan, request.PlanVersion, request.Anchor, billed, startedAt, at, request.Quantity,
                    request.TrialEnd?.ToMicroseconds(), caller.IsOperator);
                var stream = Subscription.Stream(tenant.TenantId, id);
                var (subscription, version) = await transaction.Load<Subscription, SubscriptionEvent>(stream, token);
                var decision = Decide(command, subscription);
                if (decision.Events.Count > 0)
                {
                    await transaction.Append(stream, version, token, decision.Events);
                    await RecordEntitlements.After(decision.Events, transaction, documents, at, token);
                }

                return decision.Refusal;
            },
            cancellation);
        if (refused is { } refusal)
            return refusal.ToProblem();

        // What is owed from the beginning is invoiced at once; after a crash here the recurring close does it.
        var view = await SubscriptionView.Find(documents, tenant.TenantId, id, cancellation);
        if (view!.CurrentPeriod is { Number: 0 })
        {
            await invoices.CloseEnded(tenant.TenantId, at, caller.Cause, cancellation);
            view = await SubscriptionView.Find(documents, tenant.TenantId, id, cancellation);
        }

        return TypedResults.Created($"/v1/subscriptions/{id}", view!);
    }
}
