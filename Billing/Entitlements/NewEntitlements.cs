using Platform.Billing.Catalog;
using Platform.Billing.Rating;
using Platform.Contracts.Messages;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Entitlements;

/// <summary>What a request for a plan's version says that it grants.</summary>
/// <param name="Features">None if absent.</param>
/// <param name="Limits">None if absent: nothing is bounded.</param>
public sealed record NewEntitlements(IReadOnlyList<string>? Features = null, IReadOnlyList<NewEntitlements.NewLimit>? Limits = null)
{
    private const int FeaturesMax = 100;
    private const int LimitsMax = 100;
    private const int DecimalsMax = 12;
    private const decimal MaxMax = 1_000_000_000_000;

    private static readonly string[] known = ["jobs.concurrent", "jobs.queued", "gpu.milli", GrantedLimit.Usage];

    /// <param name="Limit">
    /// <c>jobs.concurrent</c>, <c>jobs.queued</c> or <c>gpu.milli</c>; <c>usage</c> for what a meter measures in a billing period.
    /// </param>
    /// <param name="Max">The most that is within the limit; a whole number but for <c>usage</c>.</param>
    /// <param name="Meter">With <c>usage</c> and only there: the key of a meter that sums or counts.</param>
    /// <param name="PerUnit">The limit is so much for each unit of the subscription's quantity.</param>
    public sealed record NewLimit(string Limit, decimal Max, LimitMode Mode, string? Meter = null, bool PerUnit = false);

    /// <summary>The meters that limits are on.</summary>
    public IEnumerable<string> Meters => (Limits ?? []).Select(limit => limit.Meter).OfType<string>();

    /// <summary>Null where nothing is granted or bounded, so that such plans look as they did before there were entitlements.</summary>
    /// <param name="terms">A limit measures by the version of a meter that the plan charges, and by the newest where it does not.</param>
    /// <param name="meters">All that are named, by key.</param>
    public Grants? ToGrants(PlanTerms terms, IReadOnlyDictionary<string, MeterView> meters)
    {
        var grants = Grants.Of(Features ?? [], (Limits ?? []).Select(limit => new GrantedLimit(
            limit.Limit, limit.Max, limit.Mode, limit.Meter, limit.Meter is { } key ? VersionOf(meters[key], terms) : null, limit.PerUnit)));
        return grants == Grants.None ? null : grants;
    }

    /// <summary>What no look at the request alone can tell.</summary>
    public Refusal? RefuseMeters(PlanTerms terms, IReadOnlyDictionary<string, MeterView> meters) => (Limits ?? []).Index()
        .Where(it => it.Item.Meter is not null)
        .Select(it => (Key: it.Item.Meter!, Field: $"entitlements.limits[{it.Index}].meter"))
        .Select(it => meters.GetValueOrDefault(it.Key) switch
        {
            null => Refusal.Because("plan.meter_unknown", $"There is no meter {it.Key}.", it.Field),
            // Anything else may fall again, and costs a read of all events each time it is looked at.
            var meter when !meter.DefinitionOf(VersionOf(meter, terms))!.IsAdditive => Refusal.Because(
                "plan.meter_unfit", $"A limit on usage needs a meter that sums or counts; {it.Key} does not.", it.Field),
            _ => null,
        })
        .FirstOrDefault(refusal => refusal is not null);

    public void Check(FieldErrors errors)
    {
        errors
            .Require(Features is null or { Count: <= FeaturesMax }, "entitlements.features", $"At most {FeaturesMax} features.")
            .Require(Limits is null or { Count: <= LimitsMax }, "entitlements.limits", $"At most {LimitsMax} limits.");
        foreach (var (index, feature) in (Features ?? []).Take(FeaturesMax).Index())
            errors.Require(CatalogKeys.IsValid(feature), $"entitlements.features[{index}]", CatalogKeys.Rule);
        foreach (var (index, limit) in (Limits ?? []).Take(LimitsMax).Index())
        {
            var (field, usage) = ($"entitlements.limits[{index}]", limit.Limit == GrantedLimit.Usage);
            errors
                .Require(known.Contains(limit.Limit), $"{field}.limit", $"One of {string.Join(", ", known)}.")
                .Require(
                    limit.Max is >= 0 and < MaxMax && limit.Max.Scale <= DecimalsMax && (usage || decimal.IsInteger(limit.Max)), $"{field}.max",
                    usage
                        ? $"A number that is not negative, below {MaxMax} and has at most {DecimalsMax} decimals."
                        : $"A whole number that is not negative and below {MaxMax}.")
                .Require(
                    usage == limit.Meter is not null, $"{field}.meter",
                    usage ? "A limit on usage names the key of its meter." : "Only a limit on usage has a meter.")
                .Require(
                    Limits!.Take(index).All(other => (other.Limit, other.Meter, other.Mode) != (limit.Limit, limit.Meter, limit.Mode)),
                    $"{field}.limit", "The limit is stated twice in this mode.");
        }
    }

    private static int VersionOf(MeterView meter, PlanTerms terms) =>
        terms.Charges.FirstOrDefault(charge => charge.Meter == meter.Key)?.MeterVersion ?? meter.LatestVersion;
}
