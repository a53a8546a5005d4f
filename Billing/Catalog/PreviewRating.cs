using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Contracts;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>
/// Says what a charge would take, and why, without storing anything: for sellers who try out prices and for buyers who check them.
/// </summary>
public static class PreviewRating
{
    private const int EventsMax = 10_000;
    private const int WindowedDaysMax = 366;
    private const long EventCountMax = 1_000_000_000;

    // The fields of each model: those it needs, then those it may have besides free units, minimum and maximum.
    private static readonly Dictionary<string, (string[] Needed, string[] Optional)> FieldsOf = new()
    {
        ["flat"] = (["amount"], []),
        ["per_unit"] = (["unit_amount"], []),
        ["graduated"] = (["tiers"], []),
        ["volume"] = (["tiers"], []),
        ["package"] = (["package_size", "package_amount"], ["package_rounding"]),
        ["percentage"] =
            (["rate"], ["fixed_amount", "free_events", "free_amount", "per_event_minimum", "per_event_maximum"]),
        ["graduated_percentage"] = (["tiers"], []),
        ["dynamic"] = ([], ["unit_amount"]),
        ["windowed_commitment"] =
            (["window"],
            ["unit_amount", "bands", "committed_quantity", "committed_amount", "overage_factor", "overage_unit_amount", "true_up"]),
    };

    /// <param name="Quantity">Everything used in the period so far, what was billed already included.</param>
    /// <param name="AlreadyBilledQuantity">The part of it that earlier slices billed.</param>
    /// <param name="AlreadyBilledAmount">
    /// What they took, exact or rounded. Where it is left out, it is the price of <paramref name="AlreadyBilledQuantity"/>, without
    /// the minimum; nothing for quantity 0.
    /// </param>
    /// <param name="Events">
    /// For percentage, graduated_percentage and dynamic: all events of the period so far, equal ones together. Without events, the first
    /// two read the quantity as one amount. Other models ignore them.
    /// </param>
    /// <param name="PeriodEnd">False while the period runs on: its minimum is not due yet.</param>
    /// <param name="Windows">For windowed_commitment, instead of a quantity. Windows that are not among them were not used.</param>
    /// <param name="TimeZone">For windowed_commitment: the IANA zone of its windows and bands.</param>
    /// <param name="From">For windowed_commitment: where the use began; by default with the first window.</param>
    /// <param name="To">Until when it is rated, so that windows up to there are over; by default the end of the last window.</param>
    /// <param name="ExplainWindows">Answers with each window's amount too.</param>
    public sealed record RatingRequest(
        Currency Currency, NewCharge Charge, decimal Quantity = 0, decimal? AlreadyBilledQuantity = null,
        decimal? AlreadyBilledAmount = null, IReadOnlyList<PricedEvent>? Events = null, bool PeriodEnd = true,
        IReadOnlyList<UsedWindow>? Windows = null, string? TimeZone = null, Instant? From = null, Instant? To = null,
        bool ExplainWindows = false);

    /// <param name="Start">Any moment of the window, and of the band in it; several of one window add up.</param>
    public sealed record UsedWindow(Instant Start, decimal Quantity);

    /// <param name="Model">
    /// <c>flat</c>, <c>per_unit</c>, <c>graduated</c>, <c>volume</c>, <c>package</c>, <c>percentage</c>,
    /// <c>graduated_percentage</c>, <c>dynamic</c> or <c>windowed_commitment</c>.
    /// </param>
    /// <param name="Amount">flat.</param>
    /// <param name="UnitAmount">per_unit; dynamic where events have a multiplier alone; windowed_commitment without bands.</param>
    /// <param name="Tiers">graduated, volume, graduated_percentage.</param>
    /// <param name="PackageRounding">package; up where it is left out.</param>
    /// <param name="Rate">percentage: a fraction, 0.013 is 1.3 %.</param>
    /// <param name="FixedAmount">percentage: for each event that is not wholly free.</param>
    /// <param name="Window">windowed_commitment: hour or day.</param>
    /// <param name="Bands">windowed_commitment: prices by local time, instead of the unit amount.</param>
    /// <param name="CommittedQuantity">windowed_commitment: units of each window.</param>
    /// <param name="CommittedAmount">windowed_commitment: an amount of each window, instead of units.</param>
    /// <param name="OverageFactor">windowed_commitment: of the price above the commitment, at least 1.</param>
    /// <param name="OverageUnitAmount">windowed_commitment: the price above committed units, instead of the factor.</param>
    /// <param name="TrueUp">windowed_commitment: how what is not used is owed; by window where it is left out.</param>
    public sealed record NewCharge(
        string Model, decimal? Amount = null, decimal? UnitAmount = null, IReadOnlyList<NewTier>? Tiers = null,
        decimal? PackageSize = null, decimal? PackageAmount = null, PackageRounding? PackageRounding = null, decimal? Rate = null,
        decimal? FixedAmount = null,
        [property: JsonNumberHandling(JsonNumberHandling.AllowReadingFromString)] int? FreeEvents = null,
        decimal? FreeAmount = null, decimal? PerEventMinimum = null, decimal? PerEventMaximum = null, decimal? FreeUnits = null,
        decimal? MinimumAmount = null, decimal? MaximumAmount = null, CommitmentWindow? Window = null,
        IReadOnlyList<PriceBand>? Bands = null, decimal? CommittedQuantity = null, decimal? CommittedAmount = null,
        decimal? OverageFactor = null, decimal? OverageUnitAmount = null, TrueUp? TrueUp = null);

    /// <param name="UpTo">Included; null for the last tier.</param>
    /// <param name="UnitAmount">graduated, volume.</param>
    /// <param name="Rate">graduated_percentage.</param>
    public sealed record NewTier(
        decimal? UpTo = null, decimal? UnitAmount = null, decimal? FlatAmount = null, decimal? Rate = null);

    /// <param name="Amount">Exact; the sum of the breakdown's amounts.</param>
    /// <param name="Rounded">What an invoice line would say, with exactly the currency's decimals.</param>
    /// <param name="Windows">Each window's use and amount, where they were asked for; without true-up of the period, minimum, maximum.</param>
    public sealed record RatingPreview(
        decimal Amount, decimal Rounded, Currency Currency, IReadOnlyList<RatingStep> Breakdown,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<RatedWindow>? Windows = null);

    public static void Map(RouteGroupBuilder rating) => rating.MapPost("/preview", Handle).WithName(nameof(PreviewRating));

    /// <summary>The charge's terms, or every field that is missing, foreign to the model or senseless.</summary>
    public static (PriceModel? Price, IReadOnlyList<PriceFault> Faults) Read(NewCharge charge)
    {
        if (!FieldsOf.TryGetValue(charge.Model, out var fields))
            return (null, [new("model", $"There is no such model; there are {string.Join(", ", FieldsOf.Keys)}.")]);

        var given = Given(charge);
        List<PriceFault> faults =
        [
            .. fields.Needed.Where(name => !given.Contains(name))
                .Select(name => new PriceFault(name, $"The model {charge.Model} needs this field.")),
            .. given.Where(name => !fields.Needed.Contains(name) && !fields.Optional.Contains(name))
                .Select(name => new PriceFault(name, $"The model {charge.Model} has no such field.")),
            .. charge.Tiers is { } tiers ? TierFaults(charge.Model, tiers) : [],
        ];
        if (faults.Count > 0)
            return (null, faults);

        var price = Price(charge);
        faults.AddRange(PriceRules.Faults(price));
        return (price, faults);
    }

    private static Results<Ok<RatingPreview>, ProblemHttpResult> Handle(RatingRequest request)
    {
        var (price, faults) = Read(request.Charge);
        PriceFault[] all = [.. faults.Select(fault => fault with { Field = $"charge.{fault.Field}" }), .. Faults(request, price)];
        if (price is null || all.Length > 0)
            return all.ToProblem();

        var commitment = price as WindowedCommitmentPrice;
        var use = commitment is null ? null : Use(request, commitment);

        try
        {
            // A slice of nothing took nothing, though the first tier's flat amount would be due for no units at all.
            var already = request.AlreadyBilledAmount ?? (request.AlreadyBilledQuantity is > 0 and var billed
                ? Rate.Of(price, Measured.Units(billed), periodEnd: false).Amount
                : 0);
            var slice = Rate.Slice(
                price, new(request.Quantity, request.Events ?? []) { Windows = use }, request.PeriodEnd, already,
                request.AlreadyBilledQuantity, request.Currency);
            return TypedResults.Ok(new RatingPreview(
                slice.Amount, slice.Rounded.Amount, request.Currency, slice.Breakdown,
                commitment is not null && request.ExplainWindows ? RateCommitment.Windows(commitment, use!) : null));
        }
        catch (OverflowException)
        {
            PriceFault[] tooMuch = [new("quantity", "The amount is too large to be posted.")];
            return tooMuch.ToProblem();
        }
    }

    private static IEnumerable<PriceFault> Faults(RatingRequest request, PriceModel? price)
    {
        var events = request.Events ?? [];
        return
        [
            .. PriceRules.Quantity("quantity", request.Quantity),
            .. PriceRules.Quantity("already_billed_quantity", request.AlreadyBilledQuantity),
            .. PriceRules.Amount("already_billed_amount", request.AlreadyBilledAmount),
            .. PriceRules.When(
                (price is DynamicPrice or PercentagePrice && events.Count > 0 || price is WindowedCommitmentPrice)
                && request is { AlreadyBilledQuantity: > 0, AlreadyBilledAmount: null },
                "already_billed_amount", "Where events or windows make the price, a quantity does not tell what was billed."),
            .. price is WindowedCommitmentPrice ? WindowFaults(request) : [],
            .. PriceRules.When(events.Count > EventsMax, "events", "At most 10000 events."),
            .. events.Take(EventsMax).Index().SelectMany(it => (IEnumerable<PriceFault>)
            [
                .. PriceRules.Amount($"events[{it.Index}].amount", it.Item.Amount),
                .. PriceRules.Amount($"events[{it.Index}].multiplier", it.Item.Multiplier),
                .. PriceRules.When(
                    it.Item.Count is < 1 or > EventCountMax, $"events[{it.Index}].count", $"1 to {EventCountMax} equal events."),
                .. PriceRules.When(
                    price is PercentagePrice or GraduatedPercentagePrice && it.Item.Amount is null,
                    $"events[{it.Index}].amount", "The event needs an amount."),
                .. PriceRules.When(
                    price is PercentagePrice or GraduatedPercentagePrice && it.Item.Multiplier is not null,
                    $"events[{it.Index}].multiplier", "Only dynamic charges multiply."),
                .. PriceRules.When(
                    price is DynamicPrice { UnitAmount: null } && it.Item.Amount is null,
                    $"events[{it.Index}].amount", "The event needs an amount, or the charge a unit_amount that it multiplies."),
                .. PriceRules.When(
                    price is DynamicPrice && it.Item is { Amount: null, Multiplier: null },
                    $"events[{it.Index}].multiplier", "The event needs an amount or a multiplier."),
            ]),
        ];
    }

    private static IEnumerable<PriceFault> WindowFaults(RatingRequest request)
    {
        var windows = request.Windows ?? [];
        var (from, to) = windows.Count == 0
            ? (request.From, request.To)
            : (request.From ?? windows.Min(window => window.Start), request.To ?? windows.Max(window => window.Start));
        return
        [
            .. PriceRules.When(
                request.TimeZone is null || DateTimeZoneProviders.Tzdb.GetZoneOrNull(request.TimeZone) is null, "time_zone",
                "An IANA zone is needed, for example Europe/Berlin."),
            .. PriceRules.When(
                windows.Count == 0 && (request.From is null || request.To is null), "windows",
                "Windows are needed, or from and to of a time without use."),
            .. PriceRules.When(windows.Count > EventsMax, "windows", "At most 10000 windows."),
            .. PriceRules.When(
                from is { } first && to is { } last && (last < first || (request.To is not null && last == first)), "to",
                "to is after from."),
            .. PriceRules.When(
                from is not null && to - from > Duration.FromDays(WindowedDaysMax), "to", $"At most {WindowedDaysMax} days."),
            .. windows.Take(EventsMax).Index().SelectMany(it => (IEnumerable<PriceFault>)
            [
                .. PriceRules.Quantity($"windows[{it.Index}].quantity", it.Item.Quantity),
                .. PriceRules.When(
                    it.Item.Start < request.From || it.Item.Start >= request.To, $"windows[{it.Index}].start",
                    "The window begins from from to to."),
            ]),
        ];
    }

    // Without from and to: whole windows, from the one of the first use to the one of the last.
    private static WindowedUse Use(RatingRequest request, WindowedCommitmentPrice price)
    {
        var (windows, zone) = (request.Windows ?? [], DateTimeZoneProviders.Tzdb[request.TimeZone!]);
        return new(
            new(
                request.From ?? CommitmentWindows.Containing(price, windows.Min(window => window.Start), zone).Start,
                request.To ?? CommitmentWindows.Containing(price, windows.Max(window => window.Start), zone).End),
            zone, [.. windows.Select(window => new TimedUse(window.Start, window.Quantity))]);
    }

    private static PriceModel Price(NewCharge it)
    {
        var limits = new Limits(it.FreeUnits ?? 0, it.MinimumAmount, it.MaximumAmount);
        return it.Model switch
        {
            "flat" => new FlatPrice(it.Amount!.Value, limits),
            "per_unit" => new PerUnitPrice(it.UnitAmount!.Value, limits),
            "graduated" => new GraduatedPrice(UnitTiers(), limits),
            "volume" => new VolumePrice(UnitTiers(), limits),
            "package" => new PackagePrice(
                it.PackageSize!.Value, it.PackageAmount!.Value, it.PackageRounding ?? PackageRounding.Up, limits),
            "percentage" => new PercentagePrice(
                it.Rate!.Value, it.FixedAmount ?? 0, it.FreeEvents ?? 0, it.FreeAmount ?? 0, it.PerEventMinimum,
                it.PerEventMaximum, limits),
            "graduated_percentage" => new GraduatedPercentagePrice(
                [.. it.Tiers!.Select(tier => new RateTier(tier.UpTo, tier.Rate!.Value, tier.FlatAmount ?? 0))], limits),
            "dynamic" => new DynamicPrice(it.UnitAmount, limits),
            "windowed_commitment" => new WindowedCommitmentPrice(
                it.Window!.Value, it.UnitAmount, it.Bands ?? [], it.CommittedQuantity, it.CommittedAmount, it.OverageFactor,
                it.OverageUnitAmount, it.TrueUp ?? WindowedCommitmentPrice.UsualTrueUp(it.CommittedQuantity ?? it.CommittedAmount), limits),
            _ => throw new System.Diagnostics.UnreachableException($"No model {it.Model}."),
        };

        Tier[] UnitTiers() => [.. it.Tiers!.Select(tier => new Tier(tier.UpTo, tier.UnitAmount!.Value, tier.FlatAmount ?? 0))];
    }

    private static IEnumerable<PriceFault> TierFaults(string model, IReadOnlyList<NewTier> tiers)
    {
        var byRate = model is "graduated_percentage";
        var (needed, foreign) = byRate ? ("rate", "unit_amount") : ("unit_amount", "rate");
        foreach (var (index, tier) in tiers.Index())
        {
            if ((byRate ? tier.Rate : tier.UnitAmount) is null)
                yield return new($"tiers[{index}].{needed}", $"A tier of {model} needs this field.");
            if ((byRate ? tier.UnitAmount : tier.Rate) is not null)
                yield return new($"tiers[{index}].{foreign}", $"A tier of {model} has no such field.");
        }
    }

    private static HashSet<string> Given(NewCharge it) =>
    [
        .. new (string Name, object? Value)[]
        {
            ("amount", it.Amount), ("unit_amount", it.UnitAmount), ("tiers", it.Tiers), ("package_size", it.PackageSize),
            ("package_amount", it.PackageAmount), ("package_rounding", it.PackageRounding), ("rate", it.Rate),
            ("fixed_amount", it.FixedAmount), ("free_events", it.FreeEvents), ("free_amount", it.FreeAmount),
            ("per_event_minimum", it.PerEventMinimum), ("per_event_maximum", it.PerEventMaximum), ("window", it.Window),
            ("bands", it.Bands), ("committed_quantity", it.CommittedQuantity), ("committed_amount", it.CommittedAmount),
            ("overage_factor", it.OverageFactor), ("overage_unit_amount", it.OverageUnitAmount), ("true_up", it.TrueUp),
        }.Where(field => field.Value is not null).Select(field => field.Name),
    ];
}
