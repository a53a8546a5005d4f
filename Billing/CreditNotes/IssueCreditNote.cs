using Microsoft.AspNetCore.Http.HttpResults;
using NodaTime;
using Platform.Billing.Dunning;
using Platform.Billing.Invoices;
using Platform.Billing.Payments;
using Platform.Billing.Tenants;
using Platform.Billing.Wallets;
using Platform.Contracts;
using Platform.EventStore;
using Platform.ServiceDefaults;

namespace Platform.Billing.CreditNotes;

/// <summary>
/// Takes back part of a finalized invoice: never more of a line than is left of it, and never more than is left of the invoice, however
/// many ask at once. What is still due is reduced first; what was settled becomes credit in the wallet, or is paid back if asked for.
/// </summary>
public static class IssueCreditNote
{
    private const int LinesMax = 1000;

    /// <param name="Line">The line's number on the invoice.</param>
    /// <param name="Amount">With its tax, above zero, in the invoice's currency; all that is left of the line if absent.</param>
    public sealed record LineToCredit(int Line, Money? Amount = null);

    /// <param name="Lines">At least one; each line of the invoice once.</param>
    /// <param name="Reason">1 to 500 characters; the tenant reads it.</param>
    /// <param name="Outcome">What all of it is to become; if absent, it reduces what is due and the rest becomes credit.</param>
    public sealed record NewCreditNote(IReadOnlyList<LineToCredit> Lines, string Reason, CreditNoteOutcome? Outcome = null);

    /// <param name="Number">Taken only where a note is issued, so that its series has no gap.</param>
    /// <param name="Refundable">What gateways were paid for the invoice and can pay back.</param>
    /// <param name="Expensed">What refunds gave back of the invoice already, at the operator's expense.</param>
    public sealed record Command(
        CreditNoteId CreditNoteId, string Number, InvoiceId InvoiceId, IReadOnlyList<LineToCredit> Lines, CreditNoteOutcome? Outcome,
        Money Refundable, Money Expensed, string Reason, Instant At);

    public static Decision<InvoiceEvent> Decide(Command command, Invoice invoice)
    {
        if (invoice.CreditNotes.Contains(command.CreditNoteId))
            return [];
        if (invoice.Status is InvoiceStatus.Missing)
            return Refusal.Because("invoice.not_found", "There is no such invoice.");
        if (invoice.Status is InvoiceStatus.Draft)
            return Refusal.Because("invoice.not_finalized", "A draft is corrected, not credited.");

        if (invoice.Status is InvoiceStatus.Void or InvoiceStatus.Uncollectible)
            return Refusal.Because("credit_note.invoice_given_up", "The invoice is void or written off: nothing of it stands in the books.");
        if (invoice.Settlement!.Payment is not null)
            return Refusal.Because("invoice.payment_in_progress", "A charge is under way; try again when its outcome is known.");

        var (due, taxLeft) = (invoice.Settlement.AmountDue, invoice.TaxLeft);
        var lines = new List<CreditedLine>();
        foreach (var (index, (number, asked)) in command.Lines.Index())
        {
            if (invoice.Lines.FirstOrDefault(it => it.Number == number) is not { } line)
                return Refusal.Because("credit_note.line_unknown", $"The invoice has no line {number}.", $"lines[{index}].line");
            var amount = asked ?? line.Left;
            if (amount.Currency != line.Left.Currency)
                return Refusal.Because("credit_note.currency_differs", $"The invoice is in {line.Left.Currency}.", $"lines[{index}].amount");
            if (amount > line.Left)
                return Refusal.Because("credit_note.exceeds_line", $"Of line {number} {line.Left} is left.", $"lines[{index}].amount");
            if (amount.MinorUnits <= 0)
                return Refusal.Because("credit_note.nothing_left", $"Of line {number} nothing is left.", $"lines[{index}].line");
            lines.Add(line.Take(amount, taxLeft));
            taxLeft -= lines[^1].TaxAmount;
        }

        var zero = Money.Zero(invoice.Total.Currency);
        var total = lines.Aggregate(zero, (sum, line) => sum + line.Amount);
        // Lines below zero make an invoice less than its other lines together.
        if (total > invoice.Creditable)
            return Refusal.Because("credit_note.exceeds_invoice", $"Of the invoice {invoice.Creditable} is left.", "lines");

        var reducesDue = command.Outcome is CreditNoteOutcome.Wallet or CreditNoteOutcome.Refund ? zero : total < due ? total : due;
        var settled = total - reducesDue;
        if (command.Outcome is CreditNoteOutcome.ReduceDue && settled > zero)
            return Refusal.Because("credit_note.exceeds_due", $"Of the invoice {due} is due.", "outcome");
        if (settled > invoice.Creditable - due)
        {
            return Refusal.Because(
                "credit_note.not_settled", "What is not paid cannot be given back; reduce what is due instead.", "outcome");
        }

        var toRefund = command.Outcome is CreditNoteOutcome.Refund ? settled : zero;
        if (toRefund > command.Refundable)
        {
            return Refusal.Because(
                "credit_note.exceeds_payments", $"Through a gateway {command.Refundable} can be paid back of the invoice.", "outcome");
        }

        // Money that a refund gave back is not given back again by a note.
        if (settled > invoice.Creditable - due - command.Expensed)
        {
            return Refusal.Because(
                "credit_note.refunded_before",
                $"Of what was paid for the invoice {command.Expensed} was refunded without a note, so at most "
                + $"{invoice.Creditable - due - command.Expensed} can be given back.",
                "outcome");
        }

        return
        [
            new CreditNoteIssued(
                command.CreditNoteId, command.Number, command.InvoiceId, invoice.Number!, lines,
                lines.Aggregate(zero, (sum, line) => sum + line.TaxAmount), total, reducesDue, settled - toRefund, toRefund, command.Reason,
                command.At),
            .. reducesDue == due && invoice.Status is not InvoiceStatus.Paid ? new InvoiceEvent[] { new InvoicePaid(command.At) } : [],
        ];
    }

    public static void Map(RouteGroupBuilder invoices) =>
        invoices.MapPost("/{id}/credit-notes", Handle).WithName(nameof(IssueCreditNote)).ForOperators().Idempotent();

    private static async Task<Results<Created<CreditNoteView>, ProblemHttpResult>> Handle(
        InvoiceId id, NewCreditNote request, Caller caller, RequestId requestId, EventStore.EventStore store, Documents documents,
        RefundCreditNote refunds, TenantClock clock, CancellationToken cancellation)
    {
        Validate(request);
        var noteId = new CreditNoteId(requestId.Value);
        var refusal = await store.Transact(
            caller.TenantId.Value,
            caller.Cause,
            async (transaction, token) =>
            {
                var stream = Invoice.Stream(caller.TenantId, id);
                var (invoice, version) = await transaction.Load<Invoice, InvoiceEvent>(stream, token);
                var at = await clock.Now(caller.TenantId, token);
                var payments = await RefundCreditNote.PaymentsOf(transaction, caller.TenantId, id, token);
                var decision = Decide(
                    new(
                        noteId, Number: "", id, request.Lines, request.Outcome, RefundCreditNote.Refundable(payments, invoice.Total.Currency),
                        RefundCreditNote.Expensed(payments, invoice.Total.Currency), request.Reason, at),
                    invoice);
                if (decision.Events.Count == 0)
                    return decision.Refusal;

                var number = await CreditNoteNumbers.Next(transaction, at.InUtc().Year, token);
                var issued = (CreditNoteIssued)decision.Events[0] with { Number = number };
                IReadOnlyList<InvoiceEvent> events = [issued, .. decision.Events.Skip(1)];
                await transaction.Append(stream, version, token, events);
                await TenantStanding.Reconsider(
                    transaction, caller.TenantId, id, Fold.After<Invoice, InvoiceEvent>(invoice, events), at, token);
                if (issued.ToWallet.MinorUnits > 0)
                    await transaction.Decide<Wallet, WalletEvent>(Wallet.Stream(caller.TenantId), _ => [Credit(issued)], token);
                foreach (var requested in RefundCreditNote.Decide(issued, payments))
                {
                    await transaction.Decide<Payment, PaymentEvent>(
                        Payment.Stream(caller.TenantId, requested.PaymentId), _ => [requested], token);
                }

                return null;
            },
            cancellation);
        if (refusal is not null)
            return refusal.ToProblem();

        await refunds.Proceed(caller.TenantId, noteId, caller.Cause, cancellation);
        return TypedResults.Created(
            $"/v1/credit-notes/{noteId}", (await CreditNoteView.Find(documents, caller.TenantId, noteId, cancellation))!);
    }

    private static CreditGranted Credit(CreditNoteIssued note) => new(
        new(note.CreditNoteId.Value), note.ToWallet, CreditKind.Adjustment, GrantCredit.PriorityDefault, ExpiresAt: null,
        $"Credit note {note.Number}", note.At, note.InvoiceId);

    private static void Validate(NewCreditNote request)
    {
        var errors = new FieldErrors()
            .Require(request.Lines.Count is >= 1 and <= LinesMax, "lines", $"1 to {LinesMax} lines.")
            .RequireReason(request.Reason);
        foreach (var (index, line) in request.Lines.Index())
        {
            errors
                .Require(line.Amount is not { MinorUnits: <= 0 }, $"lines[{index}].amount", "More than nothing.")
                .Require(request.Lines.Take(index).All(before => before.Line != line.Line), $"lines[{index}].line", "Each line once.");
        }

        errors.ThrowIfAny();
    }
}
