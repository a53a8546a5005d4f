using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Rating;
using Platform.Billing.Subscriptions;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Catalog;

/// <summary>
/// Writes a price into the book, or one for a single tenant that goes before it. What was billed at the prices of a time never has
/// another price later: that is why an invoice can be computed again.
/// </summary>
public static class PublishPrice
{
    /// <param name="Key">What charges name, for example <c>gpu-hour.h100</c>.</param>
    /// <param name="UnitAmount">Exact, in major units.</param>
    /// <param name="ValidFrom">Now if absent.</param>
    /// <param name="TenantId">Whose override it is; absent for everybody's price.</param>
    /// <param name="ValidUntil">Only of an override: when the book's price holds again.</param>
    public sealed record NewPrice(
        string Key, Currency Currency, decimal UnitAmount, Instant? ValidFrom = null, TenantId? TenantId = null, Instant? ValidUntil = null);

    /// <param name="InBook">The book has a price of this key in this currency.</param>
    /// <param name="BilledUntil">Of an override: the end of the tenant's last period that was billed.</param>
    public sealed record Command(PriceId PriceId, NewPrice Price, bool InBook, Instant? BilledUntil, Instant At);

    public static Decision<PriceEvent> Decide(Command command, Price price)
    {
        if (price.Exists)
            return [];

        var (it, from) = (command.Price, command.Price.ValidFrom ?? command.At);
        return (it.TenantId, command.InBook) switch
        {
            _ when it.ValidUntil <= from => Refusal.Because("price.ends_early", "A price ends after it begins.", "valid_until"),
            (null, _) when it.ValidUntil is not null => Refusal.Because(
                "price.never_ends", "Only a tenant's override ends by itself: the book has a price at any time.", "valid_until"),
            (null, false) when from > command.At => Refusal.Because(
                "price.first_in_future", "The first price of a key holds since ever, so it does not begin in the future.", "valid_from"),
            (null, true) when from < command.At => Refusal.Because(
                "price.retroactive", "A price begins now or later: invoices may have been made at the one before.", "valid_from"),
            (not null, false) => Refusal.Because(
                "price.key_unknown", $"The book has no price of {it.Key} in {it.Currency} to override.", "key"),
            (not null, _) when from < command.BilledUntil => Refusal.Because(
                "price.retroactive", $"The tenant has been billed up to {command.BilledUntil}; an override begins then or later.", "valid_from"),
            _ =>
            [
                new PricePublished(
                    command.PriceId, it.TenantId ?? TenantId.Operator, it.Key, it.Currency, it.UnitAmount, from, command.At, it.ValidUntil),
            ],
        };
    }

    public static void Map(RouteGroupBuilder prices) =>
        prices.MapPost("/", Handle).WithName(nameof(PublishPrice)).ForOperators().Idempotent();

    private static async Task<Results<Created<PriceView>, ProblemHttpResult>> Handle(
        NewPrice request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents, TenantClock clock,
        CancellationToken cancellation)
    {
        new FieldErrors()
            .Require(CatalogKeys.IsValid(request.Key), "key", CatalogKeys.Rule)
            .Require(!PriceRules.Price("unit_amount", request.UnitAmount).Any(), "unit_amount", PriceRules.PriceRule)
            .ThrowIfAny();
        if (request.TenantId is { } named
            && (named == TenantId.Operator || await TenantView.Find(documents, named, cancellation) is null))
        {
            return Refusal.Because("price.tenant_unknown", "There is no such tenant.", "tenant_id").ToProblem();
        }

        var (id, owner) = (new PriceId(requestId.Value), request.TenantId ?? TenantId.Operator);
        var at = await clock.Now(owner, cancellation);
        var price = request with
        {
            ValidFrom = request.ValidFrom?.ToMicroseconds(),
            ValidUntil = request.ValidUntil?.ToMicroseconds(),
        };

        // An override is decided in its tenant's lane, where that tenant's periods are closed: none is billed meanwhile.
        var decided = await store.Transact(
            owner.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var inBook = request.TenantId is null
                    ? await PriceView.IsPriced(transaction, request.Key, request.Currency, token)
                    : await PriceView.Timeline(documents, TenantId.Operator, request.Key, request.Currency, token) is not null;
                var billedUntil = await BillingPeriodRows.BilledUntil(transaction, token);
                return await transaction.Decide<Price, PriceEvent>(
                    Price.Stream(owner, id), known => Decide(new(id, price, inBook, billedUntil, at), known), token);
            },
            cancellation);
        return decided.Refusal is { } refusal
            ? refusal.ToProblem()
            : TypedResults.Created($"/v1/prices/{id}", (await PriceView.Find(documents, owner, id, cancellation))!);
    }
}
