using System.Diagnostics;
using NodaTime;
using Npgsql;
using Platform.Billing.CreditNotes;
using Platform.Billing.Invoices;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Dunning;

/// <summary>One row per finalized invoice with what is due of it and when something is to be done about it, found by indexes.</summary>
public sealed class Receivables : Projection
{
    private const string Table = "receivables";

    public override string Name => Table;

    public override IReadOnlyList<string> Tables => [Table];

    public override bool Folds(Type eventType) =>
        eventType == typeof(InvoiceFinalized) || typeof(SettlementEvent).IsAssignableFrom(eventType);

    public override Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        // Invoices that are finalized one after the other, as in a close of many, are one statement.
        var finalized = new List<(StreamId Stream, InvoiceFinalized Event)>();
        foreach (var recorded in page)
        {
            if (recorded.Data is InvoiceFinalized it)
            {
                finalized.Add((recorded.Stream, it));
            }
            else if (Change(recorded, tables.Qualify(Table)) is { } change)
            {
                Insert(finalized, tables);
                tables.Write(change);
            }
        }

        Insert(finalized, tables);
        return Task.CompletedTask;
    }

    /// <summary>A page of the live tenants that have something due, the longest first.</summary>
    public static Task<IReadOnlyList<DueTenant>> Due(
        BillingDatabase database, Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            select distinct next_step_at, tenant_id from billing.receivables
            where next_step_at <= $1 and ($2 is null or (next_step_at, tenant_id) > ($2, $3)) and {TenantView.IsLive}
            order by next_step_at, tenant_id limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    /// <summary>A tenant's invoices that have something due, the longest first.</summary>
    public static Task<IReadOnlyList<(InvoiceId Id, Instant At)>> Due(
        BillingDatabase database, TenantId tenant, Instant asOf, CancellationToken cancellation) =>
        database.Read(
            tenant,
            """
            select invoice_id, next_step_at from billing.receivables
            where tenant_id = $1 and next_step_at <= $2 order by next_step_at, invoice_id
            """,
            row => (new InvoiceId(row.GetGuid(0)), row.Instant(1)),
            cancellation,
            Sql.P(tenant.Value), Sql.P(asOf));

    /// <summary>Whether dunning of another invoice of the tenant has ended without payment.</summary>
    public static async Task<bool> AnyUnpaidBeside(
        NpgsqlConnection connection, TenantId tenant, InvoiceId invoice, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            "select exists(select from billing.receivables where tenant_id = $1 and invoice_id <> $2 and dunning_ended and amount_due > 0)",
            Sql.P(tenant.Value), Sql.P(invoice.Value));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static void Insert(List<(StreamId Stream, InvoiceFinalized Event)> finalized, ProjectionTables tables)
    {
        if (finalized.Count > 0)
        {
            tables.Write(
                $"""
                insert into {tables.Qualify(Table)} (tenant_id, invoice_id, currency, status, amount_due, due_at, scheduled_at)
                select tenant_id, invoice_id, currency, 'finalized', amount_due, due_at, scheduled_at
                from unnest($1, $2, $3, $4, $5, $6) each (tenant_id, invoice_id, currency, amount_due, due_at, scheduled_at)
                """,
                Sql.P([.. finalized.Select(it => it.Stream.TenantId)]), Sql.P([.. finalized.Select(it => it.Stream.Id)]),
                Sql.P([.. finalized.Select(it => it.Event.Total.Currency.Code)]),
                Sql.P([.. finalized.Select(it => it.Event.AmountDue.MinorUnits)]),
                Sql.P([.. finalized.Select(it => it.Event.Terms.DueAt)]),
                Sql.P([.. finalized.Select(it => it.Event.Terms.FirstStepAt(it.Event.At))]));
            finalized.Clear();
        }
    }

    private static NpgsqlBatchCommand? Change(RecordedEvent recorded, string table)
    {
        return recorded.Data switch
        {
            InvoicePaymentRequested it => Set("payment_id = $3, check_at = $4", Sql.P(it.PaymentId.Value), Sql.P(it.CheckAt)),
            InvoicePaymentUnresolved it => Set("check_at = $3", Sql.P(it.CheckAt)),
            InvoicePaymentDeclined it => Set(Concluded, Sql.P(it.PaymentId.Value)),
            InvoicePaymentApplied it => Set(
                $"{Concluded}, amount_due = amount_due - $4", Sql.P(it.PaymentId.Value), Sql.P(it.Amount.MinorUnits)),
            CreditNoteIssued it => Set("amount_due = amount_due - $3", Sql.P(it.ReducesDue.MinorUnits)),
            InvoicePaid => Set("status = 'paid', scheduled_at = null"),
            InvoiceOverdue it => Set("status = 'overdue', scheduled_at = $3", Sql.P(it.NextStepAt)),
            InvoiceDunned it => Set("scheduled_at = $3", Sql.P(it.NextStepAt)),
            InvoiceDunningEnded => Set("dunning_ended = true, scheduled_at = null"),
            InvoiceMarkedUncollectible => Set("status = 'uncollectible', scheduled_at = null"),
            InvoiceWriteOffReversed => null,
            InvoiceVoided => Set("status = 'void', amount_due = 0, scheduled_at = null"),
            var other => throw new UnreachableException($"Receivables do not know {other.GetType().Name}."),
        };

        NpgsqlBatchCommand Set(string columns, params NpgsqlParameter[] parameters) =>
            Command($"update {table} set {columns} where tenant_id = $1 and invoice_id = $2", parameters);

        NpgsqlBatchCommand Command(string sql, params NpgsqlParameter[] parameters)
        {
            var command = new NpgsqlBatchCommand(sql);
            command.Parameters.Add(Sql.P(recorded.Stream.TenantId));
            command.Parameters.Add(Sql.P(recorded.Stream.Id));
            command.Parameters.AddRange(parameters);
            return command;
        }
    }

    // The outcome of an earlier charge may come while a later one is open.
    private const string Concluded =
        """
        check_at = case when payment_id = $3 then null else check_at end,
        payment_id = case when payment_id = $3 then null else payment_id end
        """;
}
