using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Npgsql;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Subscriptions;

/// <summary>The subscription as people read it.</summary>
/// <param name="Plans">Every plan that it was on, oldest first; the last is named above.</param>
/// <param name="NextPlan">The plan of the next period, where it is another one.</param>
/// <param name="CurrentPeriod">Null once the subscription has ended.</param>
/// <param name="Quantity">How many times the plan's fee is owed.</param>
/// <param name="Paused">No fee is owed at present.</param>
/// <param name="Fee">Quantity and pauses from the running period on, with what is still to come.</param>
/// <param name="Prepaid">The fee of the running period, where it was billed in advance; null otherwise.</param>
/// <param name="TrialEnd">Where the trial ends or ended and paid periods begin; null without one.</param>
/// <param name="LastInvoiceId">The newest invoice.</param>
/// <param name="EndsAt">Where the subscription is cancelled: the end of its last period.</param>
/// <param name="EndedAt">Set once its last period is invoiced. Usage that is reported late makes further invoices.</param>
public sealed record SubscriptionView(
    SubscriptionId SubscriptionId, PlanId PlanId, int PlanVersion, IReadOnlyList<PlanSpan> Plans,
    SubscriptionView.ScheduledPlan? NextPlan, string TimeZone, BillingAnchor Anchor, int BillingAnchorDay, Instant StartedAt,
    SubscriptionView.RunningPeriod? CurrentPeriod, int Quantity, bool Paused, FeeSchedule Fee, PrepaidFee? Prepaid, Instant? TrialEnd,
    InvoiceId? LastInvoiceId, Instant? EndsAt, Instant? EndedAt)
{
    public const string Table = "subscriptions";

    /// <param name="Start">Included.</param>
    /// <param name="End">Excluded.</param>
    public sealed record RunningPeriod(int Number, Instant Start, Instant End);

    public sealed record ScheduledPlan(PlanId PlanId, int PlanVersion, BillingCycle Cycle, Instant EffectiveAt);

    /// <summary>How many times the plan is had then, also where that is still to come.</summary>
    public int QuantityAt(Instant at) => Fee.At(Instant.Max(at, Fee.Steps[0].From)).Quantity;

    public static void Map(RouteGroupBuilder subscriptions)
    {
        subscriptions.MapGet("/", List).WithName("ListSubscriptions");
        subscriptions.MapGet("/{id}", Get).WithName("GetSubscription");
    }

    public static Task<SubscriptionView?> Find(
        Documents documents, TenantId tenant, SubscriptionId id, CancellationToken cancellation) =>
        documents.Find(tenant.Value, Table, id.Value, Stored.Json<SubscriptionView>(), cancellation);

    /// <summary>Every subscription of the transaction's tenant, as it is in the transaction.</summary>
    public static Task<IReadOnlyList<SubscriptionView>> All(EventTransaction transaction, CancellationToken cancellation) =>
        All(transaction.Connection, new(transaction.TenantId), cancellation);

    /// <param name="connection">It sees the tenant's rows.</param>
    public static async Task<IReadOnlyList<SubscriptionView>> All(
        NpgsqlConnection connection, TenantId tenant, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            "select data from billing.subscriptions where tenant_id = $1", Sql.P(tenant.Value));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var all = new List<SubscriptionView>();
        while (await reader.ReadAsync(cancellation))
            all.Add(JsonSerializer.Deserialize(reader.GetString(0), Stored.Json<SubscriptionView>())!);
        return all;
    }

    private static Task<Ok<Page<SubscriptionView>>> List(
        [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<SubscriptionView>(caller.TenantId, Table, page, newestFirst: false, cancellation);

    private static async Task<Results<Ok<SubscriptionView>, ProblemHttpResult>> Get(
        SubscriptionId id, Caller caller, Documents documents, CancellationToken cancellation) =>
        await Find(documents, caller.TenantId, id, cancellation) is { } subscription
            ? TypedResults.Ok(subscription)
            : Problems.NotFound("subscription");
}

public sealed class SubscriptionProjection : DocumentProjection<SubscriptionView, SubscriptionEvent>
{
    public override string Name => "subscriptions";

    protected override string Table => SubscriptionView.Table;

    protected override JsonTypeInfo<SubscriptionView> Json => Stored.Json<SubscriptionView>();

    protected override SubscriptionView? Fold(SubscriptionView? view, SubscriptionEvent @event, RecordedEvent recorded) =>
        (view, @event) switch
        {
            (_, SubscriptionStarted it) => new(
                it.SubscriptionId, it.PlanId, it.PlanVersion, PlanSpan.First(it), NextPlan: null, it.TimeZone, it.Anchor,
                it.BillingAnchorDay, it.StartedAt, new(it.FirstNumber, it.StartedAt, it.PeriodEnd), it.Quantity, Paused: false,
                FeeSchedule.From(it.StartedAt, it.Quantity), Prepaid: null, it.TrialEnd, LastInvoiceId: null, EndsAt: null,
                EndedAt: null),
            ({ } open, PeriodClosed it) => WithFee(open, open.Fee.Since(it.End), it.At) with
            {
                Prepaid = it.Prepaid,
                CurrentPeriod = open.EndedAt is null ? new(it.Number + 1, it.End, it.NextEnd) : null,
                LastInvoiceId = it.InvoiceId,
            },
            ({ } open, TrialEndChanged it) => open with
            {
                CurrentPeriod = open.CurrentPeriod! with { End = it.TrialEnd },
                TrialEnd = it.TrialEnd,
                Plans = PlanSpan.WithCycle(open.Plans, it.Cycle),
            },
            ({ } open, TrialEnded it) => open with { Plans = PlanSpan.Paid(open.Plans, it.EndedAt) },
            ({ } open, QuantityChanged it) => WithFee(open, open.Fee.WithQuantity(it.Quantity, it.EffectiveAt), it.At),
            ({ } open, SubscriptionPaused it) => WithFee(open, open.Fee.WithPause(paused: true, it.EffectiveAt), it.At),
            ({ } open, SubscriptionResumed it) => WithFee(open, open.Fee.WithPause(paused: false, it.EffectiveAt), it.At),
            ({ } open, CancellationScheduled it) => open with
            {
                CurrentPeriod = open.CurrentPeriod! with { End = it.EndsAt },
                EndsAt = it.EndsAt,
            },
            ({ } open, CancellationWithdrawn) => open with { EndsAt = null },
            ({ } open, PlanChangeScheduled it) => open with
            {
                CurrentPeriod = open.CurrentPeriod! with { End = it.EffectiveAt },
                NextPlan = new(it.PlanId, it.PlanVersion, it.Cycle, it.EffectiveAt),
            },
            ({ } open, PlanChangeWithdrawn) => open with { NextPlan = null },
            ({ } open, PlanChanged it) => open with
            {
                PlanId = it.PlanId,
                PlanVersion = it.PlanVersion,
                Plans = PlanSpan.Changed(open.Plans, it, open.TrialEnd),
                NextPlan = null,
            },
            ({ } open, SubscriptionEnded it) => open with
            {
                Plans = PlanSpan.Ended(open.Plans, it.EndedAt),
                NextPlan = null,
                CurrentPeriod = null,
                EndedAt = it.EndedAt,
            },
            ({ } ended, NothingLate) => ended,
            _ => throw new UnreachableException($"{@event.GetType().Name} cannot follow {view}."),
        };

    private static SubscriptionView WithFee(SubscriptionView view, FeeSchedule fee, Instant at) =>
        view with { Fee = fee, Quantity = fee.At(at).Quantity, Paused = fee.At(at).Paused };
}
