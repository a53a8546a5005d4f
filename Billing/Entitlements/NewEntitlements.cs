using Platform.Billing.Catalog;
using Platform.Contracts.Messages;
using Platform.ServiceDefaults;

namespace Platform.Billing.Entitlements;

/// <summary>What a request for a plan's version says that it grants.</summary>
/// <param name="Features">None if absent.</param>
/// <param name="Limits">None if absent: nothing is bounded.</param>
public sealed record NewEntitlements(IReadOnlyList<string>? Features = null, IReadOnlyList<EntitledLimit>? Limits = null)
{
    private const int FeaturesMax = 100;
    private const decimal MaxMax = 1_000_000_000_000;

    private static readonly string[] known = ["jobs.concurrent", "jobs.queued", "gpu.milli"];

    /// <summary>Null where nothing is granted or bounded, so that such plans look as they did before there were entitlements.</summary>
    public Grants? ToGrants() => Grants.Of(Features ?? [], Limits ?? []) is var grants && grants == Grants.None ? null : grants;

    public void Check(FieldErrors errors)
    {
        errors.Require(Features is null or { Count: <= FeaturesMax }, "entitlements.features", $"At most {FeaturesMax} features.");
        foreach (var (index, feature) in (Features ?? []).Take(FeaturesMax).Index())
            errors.Require(CatalogKeys.IsValid(feature), $"entitlements.features[{index}]", CatalogKeys.Rule);
        foreach (var (index, limit) in (Limits ?? []).Index())
        {
            var field = $"entitlements.limits[{index}]";
            errors
                .Require(known.Contains(limit.Limit), $"{field}.limit", $"One of {string.Join(", ", known)}.")
                .Require(
                    limit.Max is >= 0 and < MaxMax && decimal.IsInteger(limit.Max), $"{field}.max",
                    "A whole number that is not negative and below 1000000000000.")
                .Require(
                    Limits!.Take(index).All(other => (other.Limit, other.Mode) != (limit.Limit, limit.Mode)), $"{field}.limit",
                    "The limit is stated twice in this mode.");
        }
    }
}
