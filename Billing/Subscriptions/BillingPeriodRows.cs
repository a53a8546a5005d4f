using System.Diagnostics;
using NodaTime;
using Npgsql;
using Platform.Billing.Recurring;
using Platform.Billing.Tenants;
using Platform.Contracts;
using Platform.EventStore;

namespace Platform.Billing.Subscriptions;

/// <summary>
/// One row per billing period of each subscription, so that due periods are found by an index and late usage finds the period
/// that it belongs to.
/// </summary>
public sealed class BillingPeriodRows : Projection
{
    private const string Table = "billing_periods";

    public override string Name => Table;

    public override IReadOnlyList<string> Tables => [Table];

    public override bool Folds(Type eventType) => typeof(SubscriptionEvent).IsAssignableFrom(eventType);

    public override async Task Apply(
        IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        foreach (var recorded in page)
        {
            await using var command = recorded.Data switch
            {
                SubscriptionStarted it => Opened(it.FirstNumber, it.StartedAt, it.PeriodEnd),
                PeriodClosed it => Closed(it),
                TrialEndChanged it => EndsAt(it.TrialEnd),
                CancellationScheduled it => EndsAt(it.EndsAt),
                PlanChangeScheduled it => EndsAt(it.EffectiveAt),
                NothingLate { NextEnd: { } next } => EndsAt(next),
                NothingLate => NeverEnds(),
                CancellationWithdrawn or PlanChangeWithdrawn or PlanChanged or SubscriptionEnded or TrialEnded or QuantityChanged
                    or SubscriptionPaused or SubscriptionResumed => null,
                var other => throw new UnreachableException($"Billing periods do not know {other.GetType().Name}."),
            };
            if (command is not null)
                await command.ExecuteNonQueryAsync(cancellation);

            NpgsqlCommand Opened(int number, Instant start, Instant end) => tables.Connection.Command(
                $"""
                insert into {tables.Qualify(Table)} (tenant_id, subscription_id, number, starts_at, ends_at)
                values ($1, $2, $3, $4, $5)
                """,
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id), Sql.P(number), Sql.P(start), Sql.P(end));

            NpgsqlCommand Closed(PeriodClosed it) => tables.Connection.Command(
                $"""
                with closed as (
                    update {tables.Qualify(Table)} set ends_at = $4, invoice_id = $5
                    where tenant_id = $1 and subscription_id = $2 and number = $3
                )
                insert into {tables.Qualify(Table)} (tenant_id, subscription_id, number, starts_at, ends_at)
                values ($1, $2, $3 + 1, $4, $6)
                """,
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id), Sql.P(it.Number), Sql.P(it.End),
                Sql.P(it.InvoiceId.Value), Sql.P(it.NextEnd));

            NpgsqlCommand EndsAt(Instant end) => tables.Connection.Command(
                $"""
                update {tables.Qualify(Table)} set ends_at = $3
                where tenant_id = $1 and subscription_id = $2 and invoice_id is null
                """,
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id), Sql.P(end));

            NpgsqlCommand NeverEnds() => tables.Connection.Command(
                $"delete from {tables.Qualify(Table)} where tenant_id = $1 and subscription_id = $2 and invoice_id is null",
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id));
        }
    }

    /// <summary>The tenant's subscriptions whose running period ended first, all at one instant.</summary>
    public static async Task<IReadOnlyList<SubscriptionId>> FirstDue(
        NpgsqlConnection connection, TenantId tenant, Instant asOf, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            """
            select subscription_id from billing.billing_periods
            where tenant_id = $1 and invoice_id is null and ends_at = (
                select min(ends_at) from billing.billing_periods where tenant_id = $1 and invoice_id is null and ends_at <= $2)
            """,
            Sql.P(tenant.Value), Sql.P(asOf));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var due = new List<SubscriptionId>();
        while (await reader.ReadAsync(cancellation))
            due.Add(new(reader.GetGuid(0)));
        return due;
    }

    /// <summary>The tenant's subscriptions that have a running period.</summary>
    public static Task<IReadOnlyList<SubscriptionId>> Running(
        BillingDatabase database, TenantId tenant, CancellationToken cancellation) =>
        database.Read(
            tenant,
            "select subscription_id from billing.billing_periods where tenant_id = $1 and invoice_id is null",
            row => new SubscriptionId(row.GetGuid(0)),
            cancellation,
            Sql.P(tenant.Value));

    /// <summary>The end of the last period of the transaction's tenant that is on an invoice; null where none is.</summary>
    public static async Task<Instant?> BilledUntil(EventTransaction transaction, CancellationToken cancellation)
    {
        await using var command = transaction.Connection.Command(
            "select max(ends_at) from billing.billing_periods where tenant_id = $1 and invoice_id is not null",
            Sql.P(transaction.TenantId));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) && !reader.IsDBNull(0) ? reader.Instant(0) : null;
    }

    /// <summary>A page of the moments at which periods of live tenants ended whose grace is over, the longest ended first.</summary>
    public static Task<IReadOnlyList<DueTenant>> Due(
        BillingDatabase database, Instant asOf, DueTenant? after, int limit, CancellationToken cancellation) =>
        database.ReadAllTenants(
            $"""
            select distinct ends_at, tenant_id from billing.billing_periods
            where invoice_id is null and ends_at <= $1 and ($2 is null or (ends_at, tenant_id) > ($2, $3)) and {TenantView.IsLive}
              and ends_at + make_interval(days => coalesce((
                  select (tenant.data -> 'billing_settings' ->> 'grace_days')::int from billing.tenants tenant
                  where tenant.tenant_id = billing_periods.tenant_id), 0)) <= $1
            order by ends_at, tenant_id
            limit $4
            """,
            row => new DueTenant(row.Instant(0), new(row.GetGuid(1))),
            cancellation,
            Sql.P(asOf), Sql.Optional(after?.At), Sql.Optional(after?.TenantId.Value), Sql.P(limit));

    /// <summary>When the tenant's first running period ends, if up to an instant.</summary>
    public static async Task<Instant?> NextEnd(
        BillingDatabase database, TenantId tenant, Instant upTo, CancellationToken cancellation) =>
        await database.Read(
            tenant,
            """
            select ends_at from billing.billing_periods
            where tenant_id = $1 and invoice_id is null and ends_at <= $2 order by ends_at limit 1
            """,
            row => row.Instant(0),
            cancellation,
            Sql.P(tenant.Value), Sql.P(upTo)) is [var end]
            ? end
            : null;
}
