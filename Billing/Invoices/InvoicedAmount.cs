using Platform.Billing.Rating;
using Platform.Contracts;

namespace Platform.Billing.Invoices;

/// <summary>What an invoice asks for by all its lines of one kind.</summary>
public sealed record InvoicedAmount(LineKind Kind, Money Amount)
{
    /// <summary>In the order in which the kinds first came.</summary>
    public static IReadOnlyList<InvoicedAmount> Add(IReadOnlyList<InvoicedAmount> amounts, LineKind kind, Money amount) =>
        amounts.Any(each => each.Kind == kind)
            ? [.. amounts.Select(each => each.Kind == kind ? each with { Amount = each.Amount + amount } : each)]
            : [.. amounts, new(kind, amount)];
}
