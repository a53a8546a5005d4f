using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Entitlements;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>
/// Puts a plan, or the next version of one, into the catalog. Subscriptions stay at the version they were started with, so a
/// new version changes no running or closed period.
/// </summary>
public static class PublishPlan
{
    /// <param name="RecurringFee">For each billing period; its currency is the plan's.</param>
    /// <param name="Charges">At most one per meter.</param>
    /// <param name="Interval">How long a billing period is; a month if absent.</param>
    /// <param name="FeeTiming">Whether the fee is owed at the end of its period or at its beginning; at the end if absent.</param>
    /// <param name="TrialDays">How long a new subscription costs nothing, at most 730 days.</param>
    /// <param name="InvoiceThreshold">When use of a running period comes to it, that period is invoiced up to then; never if absent.</param>
    /// <param name="Entitlements">What subscribers may use; without any, nothing is bounded.</param>
    /// <param name="ProductId">What the plan sells, named on its invoice lines.</param>
    /// <param name="TaxCategory">Of products, for the fee and for charges that name none; <c>standard</c> if absent.</param>
    public sealed record NewPlan(
        string Key, string DisplayName, Money RecurringFee, Proration Proration, IReadOnlyList<Charge> Charges,
        BillingInterval Interval = BillingInterval.Month, FeeTiming FeeTiming = FeeTiming.InArrears, int TrialDays = 0,
        Money? InvoiceThreshold = null, NewEntitlements? Entitlements = null, ProductId? ProductId = null,
        string? TaxCategory = null);

    public sealed record NewPlanVersion(
        string DisplayName, Money RecurringFee, Proration Proration, IReadOnlyList<Charge> Charges,
        BillingInterval Interval = BillingInterval.Month, FeeTiming FeeTiming = FeeTiming.InArrears, int TrialDays = 0,
        Money? InvoiceThreshold = null, NewEntitlements? Entitlements = null, ProductId? ProductId = null,
        string? TaxCategory = null);

    /// <param name="Key">Set for a new plan, null for a new version.</param>
    /// <param name="KnownMeters">Those of the charges' meters that exist.</param>
    public sealed record Command(
        PlanId PlanId, string? Key, bool KeyTaken, PlanTerms Terms, Grants? Entitlements, ProductId? ProductId,
        IReadOnlyCollection<string> KnownMeters, Instant At);

    public static Decision<PlanEvent> Decide(Command command, Plan plan)
    {
        var unknown = command.Terms.Charges.Index().FirstOrDefault(it => !command.KnownMeters.Contains(it.Item.Meter));
        return (command, plan) switch
        {
            _ when unknown.Item is not null => Refusal.Because(
                "plan.meter_unknown", $"There is no meter {unknown.Item.Meter}.", $"charges[{unknown.Index}].meter"),
            ({ Key: not null }, { LatestVersion: > 0 }) => [],
            ({ Key: null }, { LatestVersion: 0 }) => Refusal.Because("plan.not_found", "There is no such plan."),
            ({ KeyTaken: true }, _) => Refusal.Because("plan.key_taken", "Another plan has this key."),
            ({ Key: null }, _) when command.Terms.Currency != plan.Latest!.Terms.Currency => Refusal.Because(
                "plan.currency_fixed", $"All versions of the plan are in {plan.Latest.Terms.Currency}.", "recurring_fee.currency"),
            // The same terms again are what a repeated request asks for.
            _ when plan.Latest is { } latest && (command.Terms, command.Entitlements, command.ProductId)
                == (latest.Terms, latest.Entitlements, latest.ProductId) => [],
            _ =>
            [
                new PlanVersionPublished(
                    command.PlanId, plan.LatestVersion + 1, command.Key ?? plan.Latest!.Key, command.Terms, command.At,
                    command.Entitlements, command.ProductId),
            ],
        };
    }

    public static void Map(RouteGroupBuilder plans)
    {
        plans.MapPost("/", Publish).WithName(nameof(PublishPlan)).ForOperators().Idempotent();
        plans.MapPost("/{id}/versions", PublishVersion).WithName("PublishPlanVersion").ForOperators().Idempotent();
    }

    private static void Validate(string? key, PlanTerms terms, NewEntitlements? entitlements)
    {
        var errors = new FieldErrors()
            .Require(key is null || CatalogKeys.IsValid(key), "key", CatalogKeys.Rule)
            .RequireDisplayName(terms.DisplayName)
            .Require(
                terms.RecurringFee is { MinorUnits: >= 0, Amount: < 1_000_000_000 }, "recurring_fee.amount",
                "A fee is not negative and below 1000000000.")
            .Require(terms.TrialDays is >= 0 and <= 730, "trial_days", "0 to 730 days.")
            .Require(
                terms.InvoiceThreshold is not { } threshold || threshold.Currency == terms.Currency, "invoice_threshold.currency",
                "The threshold is in the plan's currency.")
            .Require(terms.InvoiceThreshold is not { MinorUnits: <= 0 }, "invoice_threshold.amount", "A threshold is above 0.")
            .Require(terms.TaxCategory is null || CatalogKeys.IsValid(terms.TaxCategory), "tax_category", CatalogKeys.Rule)
            .Require(terms.Charges.Count <= 100, "charges", "At most 100 charges.");
        foreach (var (index, charge) in terms.Charges.Index())
        {
            errors
                .RequireDisplayName(charge.DisplayName, $"charges[{index}].display_name")
                .Require(
                    terms.Charges.Take(index).All(other => other.Meter != charge.Meter), $"charges[{index}].meter",
                    "Another charge reads the same meter.")
                .Require(
                    charge.TaxCategory is null || CatalogKeys.IsValid(charge.TaxCategory), $"charges[{index}].tax_category",
                    CatalogKeys.Rule);
            if (charge is PerUnitCharge { UnitPrice: var price })
            {
                errors.Require(
                    price is >= 0 and < 1_000_000_000 && price.Scale <= 12, $"charges[{index}].unit_price",
                    "A price is not negative, below 1000000000 and has at most 12 decimals.");
            }
        }

        entitlements?.Check(errors);
        errors.ThrowIfAny();
    }

    private static Charge AtVersion(Charge charge, Dictionary<string, MeterView> known) =>
        charge.MeterVersion is null && known.TryGetValue(charge.Meter, out var meter)
            ? charge with { MeterVersion = meter.LatestVersion }
            : charge;

    private static Refusal? UnfitMeter(PlanTerms terms, Dictionary<string, MeterView> known) => terms.Charges.Index()
        .Select(it => (it.Index, it.Item.Meter, Need: known.TryGetValue(it.Item.Meter, out var meter)
            ? Unmet(it.Item, meter.DefinitionOf(it.Item.MeterVersion!.Value)!)
            : null))
        .Where(it => it.Need is not null)
        .Select(it => Refusal.Because("plan.meter_unfit", $"{it.Need}; {it.Meter} does not.", $"charges[{it.Index}].meter"))
        .FirstOrDefault();

    // What is used in parts of a time, and by single events, must add up to what was used in it.
    private static string? Unmet(Charge charge, MeterDefinition meter) => charge switch
    {
        WindowedCommitmentCharge or DynamicCharge { PriceKey: not null } when !meter.IsAdditive =>
            "Prices by time need a meter that sums or counts",
        DynamicCharge when !meter.IsAdditive => "Prices that events bring need a meter that sums or counts",
        PercentageCharge when meter.Aggregation is not Aggregation.Sum && charge.ReadsOfEvents(meter.ValueProperty) is not null =>
            "Terms for each event need a meter that sums the events' amounts",
        _ => null,
    };

    private static IEnumerable<PriceFault> Faults(Charge charge, int index) =>
        PriceRules.Faults(charge).Select(fault => fault with { Field = $"charges[{index}].{fault.Field}" });

    private static Task<Results<Created<PlanView>, ProblemHttpResult>> Publish(
        NewPlan request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation) =>
        Handle(
            new(requestId.Value), request.Key,
            new(request.DisplayName, request.RecurringFee.Currency, request.RecurringFee, request.Proration, request.Charges)
            {
                Interval = request.Interval,
                FeeTiming = request.FeeTiming,
                TrialDays = request.TrialDays,
                InvoiceThreshold = request.InvoiceThreshold,
                TaxCategory = request.TaxCategory,
            },
            request.Entitlements, request.ProductId, caller, store, documents, clock, cancellation);

    private static Task<Results<Created<PlanView>, ProblemHttpResult>> PublishVersion(
        PlanId id, NewPlanVersion request, Caller caller, EventStore.EventStore store, Documents documents, TimeProvider clock,
        CancellationToken cancellation) =>
        Handle(
            id, key: null,
            new(request.DisplayName, request.RecurringFee.Currency, request.RecurringFee, request.Proration, request.Charges)
            {
                Interval = request.Interval,
                FeeTiming = request.FeeTiming,
                TrialDays = request.TrialDays,
                InvoiceThreshold = request.InvoiceThreshold,
                TaxCategory = request.TaxCategory,
            },
            request.Entitlements, request.ProductId, caller, store, documents, clock, cancellation);

    private static async Task<Results<Created<PlanView>, ProblemHttpResult>> Handle(
        PlanId id, string? key, PlanTerms terms, NewEntitlements? entitlements, ProductId? product, Caller caller, EventStore.EventStore store,
        Documents documents, TimeProvider clock, CancellationToken cancellation)
    {
        Validate(key, terms, entitlements);
        PriceFault[] faults = [.. terms.Charges.Index().SelectMany(it => Faults(it.Item, it.Index))];
        if (faults.Length > 0)
            return faults.ToProblem();

        var meters = await MeterView.OfKeys(
            documents, [.. terms.Charges.Select(charge => charge.Meter), .. entitlements?.Meters ?? []], cancellation);
        var known = meters.ToDictionary(meter => meter.Key);
        terms = terms with { Charges = [.. terms.Charges.Select(charge => AtVersion(charge, known))] };
        var unknown = terms.Charges.Index().FirstOrDefault(it =>
            known.TryGetValue(it.Item.Meter, out var meter) && meter.DefinitionOf(it.Item.MeterVersion!.Value) is null);
        if (unknown.Item is not null)
        {
            return Refusal.Because(
                "plan.meter_unknown", $"The meter {unknown.Item.Meter} has no version {unknown.Item.MeterVersion}.",
                $"charges[{unknown.Index}].meter_version").ToProblem();
        }

        if ((UnfitMeter(terms, known) ?? entitlements?.RefuseMeters(terms, known)) is { } unfit)
            return unfit.ToProblem();

        if (product is { } named && await ProductView.Find(documents, named, cancellation) is null)
            return Refusal.Because("plan.product_unknown", "There is no such product.", "product_id").ToProblem();

        foreach (var (index, charge) in terms.Charges.Index())
        {
            if (charge is DynamicCharge { PriceKey: { } price }
                && await PriceView.Timeline(documents, TenantId.Operator, price, terms.Currency, cancellation) is null)
            {
                return Refusal.Because(
                    "plan.price_unknown", $"The price book has no price of {price} in {terms.Currency}.", $"charges[{index}].price_key").ToProblem();
            }
        }

        var (at, grants) = (clock.Now(), entitlements?.ToGrants(terms, known));

        var decided = await store.Transact(
            TenantId.Operator.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var taken = key is not null && await CatalogKeys.IsTaken(transaction, PlanView.Table, key, id.Value, token);
                return await transaction.Decide<Plan, PlanEvent>(
                    Plan.Stream(id), plan => Decide(new(id, key, taken, terms, grants, product, known.Keys, at), plan), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/plans/{id}", (await PlanView.Find(documents, id, cancellation))!);
    }
}
