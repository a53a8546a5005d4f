using System.Diagnostics;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Usage;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.Wallets;

public enum WalletTransactionType
{
    Granted,
    Consumed,
    Expired,
    Voided,
    Refunded,
}

/// <summary>One change of a wallet, cent by cent by grant.</summary>
/// <param name="Number">1 for the wallet's first transaction.</param>
/// <param name="Amount">What the balance changed by; negative where credit left. The sum of the parts.</param>
/// <param name="Parts">Which grants it came into or left from, with the signs of the amount.</param>
/// <param name="InvoiceId">The invoice that was paid, or that the credit was taken back from.</param>
/// <param name="PaymentId">The payment of the top-up that the credit was bought by or is paid back of; null for other credit.</param>
public sealed record WalletTransaction(
    long Number, WalletTransactionType Type, Money Amount, IReadOnlyList<CreditPart> Parts, InvoiceId? InvoiceId, PaymentId? PaymentId,
    string? Reason, Instant At)
{
    public const string Table = "wallet_transactions";

    public static void Map(RouteGroupBuilder wallet) => wallet.MapGet("/transactions", List).WithName("ListWalletTransactions");

    private static Task<Ok<Page<WalletTransaction>>> List(
        [AsParameters] PageQuery page, Caller caller, Documents documents, CancellationToken cancellation) =>
        documents.PageOf<WalletTransaction>(caller.TenantId, Table, page, newestFirst: true, cancellation);
}

public sealed class WalletTransactionProjection : DocumentProjection<WalletTransaction, WalletEvent>
{
    public override string Name => WalletTransaction.Table;

    protected override string Table => WalletTransaction.Table;

    protected override JsonTypeInfo<WalletTransaction> Json => Stored.Json<WalletTransaction>();

    // Every event of the wallet is a document, in the order of the stream.
    protected override Guid KeyOf(RecordedEvent recorded) => PositionCursor.Of(recorded.Version);

    protected override WalletTransaction? Fold(WalletTransaction? view, WalletEvent @event, RecordedEvent recorded) => @event switch
    {
        CreditGranted it => new(
            recorded.Version, WalletTransactionType.Granted, it.Amount, [new(it.GrantId, it.Kind, it.Amount)], it.SourceInvoiceId,
            it.SourcePaymentId, it.Reason, it.At),
        CreditConsumed it => new(
            recorded.Version, WalletTransactionType.Consumed, Negative(it.Amount),
            [.. it.Parts.Select(part => part with { Amount = Negative(part.Amount) })], it.InvoiceId, PaymentId: null, Reason: null,
            it.At),
        CreditExpired it => new(
            recorded.Version, WalletTransactionType.Expired, Negative(it.Amount), [new(it.GrantId, it.Kind, Negative(it.Amount))],
            InvoiceId: null, PaymentId: null, Reason: null, it.At),
        CreditVoided it => new(
            recorded.Version, WalletTransactionType.Voided, Negative(it.Amount), [new(it.GrantId, it.Kind, Negative(it.Amount))],
            InvoiceId: null, PaymentId: null, it.Reason, it.At),
        CreditRefunded it => new(
            recorded.Version, WalletTransactionType.Refunded, Negative(it.Amount), [new(it.GrantId, it.Kind, Negative(it.Amount))],
            InvoiceId: null, new PaymentId(it.GrantId.Value), it.Reason, it.At),
        _ => throw new UnreachableException($"WalletTransaction does not know {@event.GetType().Name}."),
    };

    private static Money Negative(Money amount) => Money.Zero(amount.Currency) - amount;
}
