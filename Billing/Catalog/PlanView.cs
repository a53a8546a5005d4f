using System.Diagnostics;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Entitlements;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>A plan with all its versions, oldest first, as everybody reads it.</summary>
public sealed record PlanView(
    PlanId PlanId, string Key, Currency Currency, int LatestVersion, IReadOnlyList<PlanView.PlanVersion> Versions)
{
    public const string Table = "plans";

    public sealed record PlanVersion(
        int Version, string DisplayName, Money RecurringFee, Proration Proration, IReadOnlyList<Charge> Charges, Instant PublishedAt)
    {
        /// <summary>How long a billing period is.</summary>
        public BillingInterval Interval { get; init; } = BillingInterval.Month;

        public FeeTiming FeeTiming { get; init; } = FeeTiming.InArrears;

        /// <summary>How many days a new subscription costs nothing.</summary>
        public int TrialDays { get; init; }
        /// <summary>When use of a running period comes to it, that period is invoiced up to then; absent where nothing bounds it.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public Money? InvoiceThreshold { get; init; }

        /// <summary>What subscribers may use; absent where nothing is stated.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public Grants? Entitlements { get; init; }

        /// <summary>What it sells; absent where that is not told apart.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public ProductId? ProductId { get; init; }

        /// <summary>The category of products by which the fee is taxed, and charges that name none; absent for <c>standard</c>.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? TaxCategory { get; init; }
    }

    /// <summary>What rating needs of one version; versions never change.</summary>
    public PlanTerms? TermsOf(int version) => Versions.FirstOrDefault(it => it.Version == version) is { } found
        ? new(found.DisplayName, Currency, found.RecurringFee, found.Proration, found.Charges)
        {
            Interval = found.Interval,
            FeeTiming = found.FeeTiming,
            TrialDays = found.TrialDays,
            InvoiceThreshold = found.InvoiceThreshold,
            TaxCategory = found.TaxCategory,
        }
        : null;

    /// <summary>Null where the version names none.</summary>
    public ProductId? ProductOf(int version) => Versions.FirstOrDefault(it => it.Version == version)?.ProductId;

    /// <summary>Null where the version states nothing.</summary>
    public Grants? EntitlementsOf(int version) => Versions.FirstOrDefault(it => it.Version == version)?.Entitlements;

    public static void Map(RouteGroupBuilder plans)
    {
        plans.MapGet("/", List).WithName("ListPlans");
        plans.MapGet("/{id}", Get).WithName("GetPlan");
    }

    public static Task<PlanView?> Find(Documents documents, PlanId plan, CancellationToken cancellation) =>
        documents.Find(TenantId.Operator.Value, Table, plan.Value, Stored.Json<PlanView>(), cancellation);

    private static Task<Ok<Page<PlanView>>> List(
        [AsParameters] PageQuery page, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<PlanView>(TenantId.Operator, Table, page, newestFirst: false, cancellation);

    private static async Task<Results<Ok<PlanView>, ProblemHttpResult>> Get(
        PlanId id, Documents documents, CancellationToken cancellation) =>
        await Find(documents, id, cancellation) is { } plan ? TypedResults.Ok(plan) : Problems.NotFound("plan");
}

public sealed class PlanProjection : DocumentProjection<PlanView, PlanEvent>
{
    public override string Name => "plans";

    protected override string Table => PlanView.Table;

    protected override JsonTypeInfo<PlanView> Json => Stored.Json<PlanView>();

    protected override PlanView? Fold(PlanView? view, PlanEvent @event, RecordedEvent recorded) => @event switch
    {
        PlanVersionPublished { Terms: var terms } it => new(
            it.PlanId, it.Key, terms.Currency, it.Version,
            [
                .. view?.Versions ?? [],
                new(it.Version, terms.DisplayName, terms.RecurringFee, terms.Proration, terms.Charges, it.At)
                {
                    Interval = terms.Interval,
                    FeeTiming = terms.FeeTiming,
                    TrialDays = terms.TrialDays,
                    InvoiceThreshold = terms.InvoiceThreshold,
                    Entitlements = it.Entitlements,
                    ProductId = it.ProductId,
                    TaxCategory = terms.TaxCategory,
                },
            ]),
        _ => throw new UnreachableException($"PlanView does not know {@event.GetType().Name}."),
    };
}
