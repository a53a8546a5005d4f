using System.Diagnostics;
using NodaTime;
using Npgsql;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Wallets;

/// <summary>One row per tenant that topped up its wallet or has a rule that does: the rule, the open charge, and what is due.</summary>
public sealed class TopUpRows : Projection
{
    public const string Table = "top_ups";

    // An open charge is asked after and keeps the rule waiting. What is left of grants is enough to go by: expired credit is written
    // off first, at its moment.
    private const string DueAt =
        $"""
        select tenant_id, coalesce(check_at, next_at) as due_at from billing.{Table} top_up
        where (check_at is not null or next_at is not null and threshold > (
            select coalesce(sum(remaining), 0) from billing.credit_grants credit
            where credit.tenant_id = top_up.tenant_id and remaining > 0))
        """;

    public override string Name => Table;

    public override IReadOnlyList<string> Tables => [Table];

    public override bool Folds(Type eventType) => typeof(TopUpEvent).IsAssignableFrom(eventType);

    public override Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        foreach (var recorded in page)
            tables.Write(Change(recorded, tables.Qualify(Table)));
        return Task.CompletedTask;
    }

    /// <summary>A page of the live tenants that have something due, the longest first.</summary>
    public static Task<IReadOnlyList<DueTenant>> Due(
        BillingDatabase database, Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            select due_at, tenant_id from ({DueAt}) due
            where due_at <= $1 and ($2 is null or (due_at, tenant_id) > ($2, $3)) and {TenantView.IsLive}
            order by due_at, tenant_id limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    /// <summary>When something is due for a tenant, if that is up to an instant.</summary>
    public static async Task<Instant?> NextDue(
        BillingDatabase database, TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        await database.Read(
            tenant, $"select due_at from ({DueAt} and tenant_id = $1) due where due_at <= $2", row => row.Instant(0), cancellation,
            Sql.P(tenant.Value), Sql.P(upTo)) is [var due] ? due : null;

    private static NpgsqlBatchCommand Change(RecordedEvent recorded, string table)
    {
        return recorded.Data switch
        {
            TopUpRequested it => Command(
                $"""
                insert into {table} as top_up (tenant_id, payment_id, check_at) values ($1, $2, $3)
                on conflict (tenant_id) do update
                set payment_id = excluded.payment_id, check_at = excluded.check_at, next_at = coalesce($4, top_up.next_at)
                """,
                Sql.P(it.PaymentId.Value), Sql.P(it.CheckAt), Sql.Optional(it.NextAt)),
            TopUpUnresolved it => Set("check_at = $2", Sql.P(it.CheckAt)),
            TopUpSucceeded it => Set(Concluded, Sql.P(it.PaymentId.Value)),
            TopUpDeclined it => Set(
                $"{Concluded}, next_at = case when next_at is null then null else coalesce($3, next_at) end",
                Sql.P(it.PaymentId.Value), Sql.Optional(it.NextAt)),
            TopUpRuleSet it => Command(
                $"""
                insert into {table} (tenant_id, currency, threshold, amount, monthly_max, next_at) values ($1, $2, $3, $4, $5, $6)
                on conflict (tenant_id) do update
                set currency = excluded.currency, threshold = excluded.threshold, amount = excluded.amount,
                    monthly_max = excluded.monthly_max, next_at = excluded.next_at, code = null
                """,
                Sql.P(it.Terms.Threshold.Currency.Code), Sql.P(it.Terms.Threshold.MinorUnits), Sql.P(it.Terms.Amount.MinorUnits),
                Sql.Optional(it.Terms.MonthlyMax?.MinorUnits), Sql.P(it.NextAt)),
            TopUpRuleSwitchedOff it => Set("next_at = null, code = $2", Sql.P(it.Code)),
            TopUpRuleRemoved => Set("threshold = null, amount = null, monthly_max = null, next_at = null, code = null"),
            var other => throw new UnreachableException($"Top-ups do not know {other.GetType().Name}."),
        };

        NpgsqlBatchCommand Set(string columns, params NpgsqlParameter[] parameters) =>
            Command($"update {table} set {columns} where tenant_id = $1", parameters);

        NpgsqlBatchCommand Command(string sql, params NpgsqlParameter[] parameters)
        {
            var command = new NpgsqlBatchCommand(sql);
            command.Parameters.Add(Sql.P(recorded.Stream.TenantId));
            command.Parameters.AddRange(parameters);
            return command;
        }
    }

    // The outcome of an earlier charge may come while a later one is open.
    private const string Concluded =
        """
        check_at = case when payment_id = $2 then null else check_at end,
        payment_id = case when payment_id = $2 then null else payment_id end
        """;
}
