using System.Diagnostics;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.AddOns;

/// <summary>An add-on as everybody reads it; <see cref="AddOnDefined"/> says what its fields mean.</summary>
public sealed record AddOnView(
    AddOnId AddOnId, string Key, string DisplayName, Money Amount, AddOnKind Kind, Instant DefinedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TaxCategory = null)
{
    public const string Table = "add_ons";

    public static void Map(RouteGroupBuilder addOns)
    {
        addOns.MapGet("/", List).WithName("ListAddOns");
        addOns.MapGet("/{id}", Get).WithName("GetAddOn");
    }

    public static Task<AddOnView?> Find(Documents documents, AddOnId addOn, CancellationToken cancellation) =>
        documents.Find(TenantId.Operator.Value, Table, addOn.Value, Stored.Json<AddOnView>(), cancellation);

    private static Task<Ok<Page<AddOnView>>> List(
        [AsParameters] PageQuery page, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<AddOnView>(TenantId.Operator, Table, page, newestFirst: false, cancellation);

    private static async Task<Results<Ok<AddOnView>, ProblemHttpResult>> Get(
        AddOnId id, Documents documents, CancellationToken cancellation) =>
        await Find(documents, id, cancellation) is { } addOn ? TypedResults.Ok(addOn) : Problems.NotFound("add_on");
}

public sealed class AddOnProjection : DocumentProjection<AddOnView, AddOnEvent>
{
    public override string Name => "add_ons";

    protected override string Table => AddOnView.Table;

    protected override JsonTypeInfo<AddOnView> Json => Stored.Json<AddOnView>();

    protected override AddOnView? Fold(AddOnView? view, AddOnEvent @event, RecordedEvent recorded) => @event switch
    {
        AddOnDefined it => new(it.AddOnId, it.Key, it.DisplayName, it.Amount, it.Kind, it.At, it.ProductId, it.TaxCategory),
        _ => throw new UnreachableException($"AddOnView does not know {@event.GetType().Name}."),
    };
}
