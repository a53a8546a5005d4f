using System.Text.Json.Serialization;
using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>What an invoice asks for by all its lines of one kind and product.</summary>
/// <param name="ProductId">What is sold; absent where that is not told apart, and on tax, which is nobody's revenue.</param>
public sealed record InvoicedAmount(
    LineKind Kind, Money Amount, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] ProductId? ProductId = null)
{
    /// <summary>In the order in which the kinds and products first came.</summary>
    public static IReadOnlyList<InvoicedAmount> Add(
        IReadOnlyList<InvoicedAmount> amounts, LineKind kind, Money amount, ProductId? product = null) =>
        amounts.Any(each => each.Kind == kind && each.ProductId == product)
            ?
            [
                .. amounts.Select(each => each.Kind == kind && each.ProductId == product
                    ? each with { Amount = each.Amount + amount }
                    : each),
            ]
            : [.. amounts, new(kind, amount, product)];
}
