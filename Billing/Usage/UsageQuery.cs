using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using NodaTime;
using Platform.Billing.Catalog;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Usage;

/// <summary>Which usage a caller asks for. A number, the events behind it and their export take the same.</summary>
/// <param name="Version">A version of the meter; the newest if absent.</param>
/// <param name="From">Included.</param>
/// <param name="To">Excluded.</param>
/// <param name="Filter">
/// <c>dimension:value</c>; <c>dimension</c> alone is the events without it. Of one dimension any of the values, of several
/// dimensions each.
/// </param>
public sealed record UsageQuery(
    [FromQuery(Name = "meter")] string? Meter, [FromQuery(Name = "version")] int? Version, [FromQuery(Name = "from")] string? From,
    [FromQuery(Name = "to")] string? To, [FromQuery(Name = "filter")] string[]? Filter)
{
    private const int FiltersMax = 100;

    internal sealed record Asked(MeterView Meter, int Version, MeasuredScope Scope);

    /// <exception cref="InvalidRequestException">Something cannot be read.</exception>
    internal async Task<(Asked? Asked, ProblemHttpResult? Problem)> Read(
        TenantId tenant, Documents documents, TenantClock clock, CancellationToken cancellation)
    {
        var (start, end) = (QueryInstant.Required(From, "from"), QueryInstant.Required(To, "to"));
        new FieldErrors()
            .Require(!string.IsNullOrEmpty(Meter), "meter", "The key of a meter is needed.")
            .Require(start < end, "to", "to is after from.")
            .Require(end - start <= Duration.FromDays(3660), "to", "At most ten years.")
            .Require(Filter is null or { Length: <= FiltersMax }, "filter", $"At most {FiltersMax} filters.")
            .ThrowIfAny();

        if (await MeterView.OfKeys(documents, [Meter!], cancellation) is not [var meter])
            return (null, Problems.NotFound("meter"));
        var version = Version ?? meter.LatestVersion;
        if (meter.DefinitionOf(version) is not { } definition)
            return (null, Problems.NotFound("meter_version"));

        var only = (Filter ?? [])
            .Select(text => text.Split(':', 2))
            .GroupBy(parts => parts[0], parts => parts.Length == 2 ? parts[1] : null)
            .Select(dimension => new DimensionFilter(dimension.Key, [.. dimension]))
            .ToList();
        RequireDimensions([.. only.Select(it => it.Dimension)], definition, "filter");
        new FieldErrors()
            .Require(!Filter?.Any(text => text.Contains('\0', StringComparison.Ordinal)) ?? true, "filter", "A filter is text.")
            .ThrowIfAny();

        var now = await clock.Now(tenant, cancellation);
        return (new(meter, version, new(tenant, definition, [start, end], HoldsUntil: now) { Only = only, Version = new(meter.MeterId, version) }), null);
    }

    /// <summary>The dimensions of a comma-separated list.</summary>
    /// <exception cref="InvalidRequestException">The meter has no such dimension, or it is named twice.</exception>
    internal static IReadOnlyList<string> Dimensions(string? list, MeterDefinition meter)
    {
        var dimensions = (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);
        RequireDimensions(dimensions, meter, "group_by");
        return dimensions;
    }

    private static void RequireDimensions(string[] dimensions, MeterDefinition meter, string field) => new FieldErrors()
        .Require(
            dimensions.All(meter.Dimensions.Contains) && dimensions.Distinct().Count() == dimensions.Length, field,
            meter.Dimensions.Count == 0
                ? "This version of the meter has no dimensions."
                : $"This version of the meter has these dimensions, each once: {string.Join(", ", meter.Dimensions)}.")
        .ThrowIfAny();
}
