using Platform.Billing.Payments;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.CreditNotes;

/// <summary>
/// Pays back what a credit note took of an invoice that was paid through a gateway: through the newest of its payments first. The refunds are
/// requested in the note's transaction and made after it, like all refunds.
/// </summary>
public sealed class RefundCreditNote(Documents documents, MakeRefund make)
{
    private const int RefundsMax = 1000;

    /// <summary>Of each payment what is neither paid back nor owed back anyway.</summary>
    public static Money Refundable(IEnumerable<(PaymentId Id, Payment Payment)> payments, Currency currency) =>
        payments.Aggregate(Money.Zero(currency), (sum, it) => sum + Available(it.Payment));

    /// <summary>What refunds gave back of an invoice at the operator's expense.</summary>
    public static Money Expensed(IEnumerable<(PaymentId Id, Payment Payment)> payments, Currency currency) =>
        payments.Aggregate(Money.Zero(currency), (sum, it) => sum + it.Payment.Expensed);

    /// <param name="payments">In the order in which they pay back; together at least what the note refunds.</param>
    public static IEnumerable<RefundRequested> Decide(CreditNoteIssued note, IEnumerable<(PaymentId Id, Payment Payment)> payments)
    {
        var (left, nothing) = (note.ToRefund, Money.Zero(note.ToRefund.Currency));
        foreach (var (id, payment) in payments)
        {
            var available = Available(payment);
            var amount = available < left ? available : left;
            if (amount <= nothing)
                continue;

            left -= amount;
            yield return new(
                RefundId.New(), id, payment.Target!, amount, FromOwed: nothing, note.CreditNoteId, $"Credit note {note.Number}",
                ChargePayment.FirstCheck(note.At), note.At);
        }
    }

    /// <summary>What gateways brought for an invoice, the newest first.</summary>
    public static async Task<IReadOnlyList<(PaymentId Id, Payment Payment)>> PaymentsOf(
        EventTransaction transaction, TenantId tenant, InvoiceId invoice, CancellationToken cancellation)
    {
        List<PaymentId> ids = [];
        await using (var command = transaction.Connection.Command(
            $"""
            select id from billing.{PaymentView.Table}
            where tenant_id = $1 and data -> 'target' ->> 'invoice_id' = $2 and data ->> 'status' = 'succeeded'
                and data ->> 'payment_method_id' is not null
            order by id desc
            """,
            Sql.P(tenant.Value), Sql.P(invoice.ToString())))
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
                ids.Add(new(reader.GetGuid(0)));
        }

        var payments = new List<(PaymentId, Payment)>();
        foreach (var id in ids)
            payments.Add((id, (await transaction.Load<Payment, PaymentEvent>(Payment.Stream(tenant, id), cancellation)).State));
        return payments;
    }

    /// <summary>Makes the note's refunds that are open; where the process ends before, due work does.</summary>
    public async Task Proceed(TenantId tenant, CreditNoteId note, Cause cause, CancellationToken cancellation)
    {
        var open = await documents.List(
            tenant.Value, RefundView.Table, Stored.Json<RefundView>(), RefundsMax, after: null, newestFirst: false, cancellation,
            "data ->> 'status' = 'pending' and data ->> 'credit_note_id' = $1", Sql.P(note.ToString()));
        foreach (var (_, refund) in open)
            await make.Proceed(tenant, refund.PaymentId, refund.RefundId, asked: true, cause, cancellation);
    }

    private static Money Available(Payment payment)
    {
        var nothing = Money.Zero(payment.Refundable.Currency);
        var available = payment.Owed > nothing ? payment.Refundable - payment.Owed : payment.Refundable;
        return available > nothing ? available : nothing;
    }
}
