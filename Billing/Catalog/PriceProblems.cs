using Microsoft.AspNetCore.Http.HttpResults;
using Platform.Billing.Rating;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>How a caller learns which terms of a price make no sense.</summary>
internal static class PriceProblems
{
    /// <summary>422 with every field named, below <paramref name="prefix"/>.</summary>
    internal static ProblemHttpResult ToProblem(this IEnumerable<PriceFault> faults, string prefix = "") => Problems.Problem(
        StatusCodes.Status422UnprocessableEntity, "charge.invalid", "The charge makes no sense.",
        faults.GroupBy(fault => prefix + fault.Field)
            .ToDictionary(field => field.Key, field => field.Select(fault => fault.Problem).ToArray()));
}
