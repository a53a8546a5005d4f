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

    // Of a row's tenant, in days of 24 hours.
    private const string Grace =
        """
        make_interval(hours => 24 * coalesce((
            select (tenant.data -> 'billing_settings' ->> 'grace_days')::int from billing.tenants tenant
            where tenant.tenant_id = billing_periods.tenant_id), 0))
        """;

    private static readonly SharedQuery<(TenantId Tenant, Instant AsOf, bool AfterGrace), (SubscriptionId Id, Instant End)> ended = new(
        $"""
        select place, subscription_id, ends_at
        from unnest($1, $2, $3) with ordinality asked (tenant_id, as_of, after_grace, place)
        join billing.billing_periods using (tenant_id)
        where invoice_id is null and ends_at <= as_of and (not after_grace or ends_at + {Grace} <= as_of) order by ends_at
        """,
        asked =>
        [
            Sql.P([.. asked.Select(it => it.Tenant.Value)]), Sql.P([.. asked.Select(it => it.AsOf)]),
            Sql.P([.. asked.Select(it => it.AfterGrace)]),
        ],
        row => (new(row.GetGuid(1)), row.Instant(2)));

    public override string Name => Table;

    public override IReadOnlyList<string> Tables => [Table];

    public override bool Folds(Type eventType) => typeof(SubscriptionEvent).IsAssignableFrom(eventType);

    public override Task Apply(IReadOnlyList<RecordedEvent> page, ProjectionTables tables, CancellationToken cancellation)
    {
        // Periods that are closed one after the other, as in a close of many, are one statement.
        var closed = new Dictionary<StreamId, PeriodClosed>();
        foreach (var recorded in page)
        {
            if (recorded.Data is not PeriodClosed || closed.ContainsKey(recorded.Stream))
                Close(closed, tables);
            switch (recorded.Data)
            {
                case SubscriptionStarted it:
                    Opened(it.FirstNumber, it.StartedAt, it.PeriodEnd);
                    break;
                case PeriodClosed it:
                    closed.Add(recorded.Stream, it);
                    break;
                case TrialEndChanged it:
                    EndsAt(it.TrialEnd);
                    break;
                case CancellationScheduled it:
                    EndsAt(it.EndsAt);
                    break;
                case PlanChangeScheduled it:
                    EndsAt(it.EffectiveAt);
                    break;
                case NothingLate { NextEnd: { } next }:
                    EndsAt(next);
                    break;
                case NothingLate:
                    NeverEnds();
                    break;
                case CancellationWithdrawn or PlanChangeWithdrawn or PlanChanged or SubscriptionEnded or TrialEnded or QuantityChanged
                    or SubscriptionPaused or SubscriptionResumed:
                    break;
                case var other:
                    throw new UnreachableException($"Billing periods do not know {other.GetType().Name}.");
            }

            void Opened(int number, Instant start, Instant end) => tables.Write(
                $"""
                insert into {tables.Qualify(Table)} (tenant_id, subscription_id, number, starts_at, ends_at)
                values ($1, $2, $3, $4, $5)
                """,
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id), Sql.P(number), Sql.P(start), Sql.P(end));

            void EndsAt(Instant end) => tables.Write(
                $"""
                update {tables.Qualify(Table)} set ends_at = $3
                where tenant_id = $1 and subscription_id = $2 and invoice_id is null
                """,
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id), Sql.P(end));

            void NeverEnds() => tables.Write(
                $"delete from {tables.Qualify(Table)} where tenant_id = $1 and subscription_id = $2 and invoice_id is null",
                Sql.P(recorded.Stream.TenantId), Sql.P(recorded.Stream.Id));
        }

        Close(closed, tables);
        return Task.CompletedTask;
    }

    private static void Close(Dictionary<StreamId, PeriodClosed> closed, ProjectionTables tables)
    {
        if (closed.Count > 0)
        {
            tables.Write(
                $"""
                with closing as (
                    select * from unnest($1, $2, $3, $4, $5, $6) each (tenant_id, subscription_id, number, ended_at, invoice_id, next_end)),
                closed as (
                    update {tables.Qualify(Table)} period set ends_at = ended_at, invoice_id = closing.invoice_id
                    from closing
                    where period.tenant_id = closing.tenant_id and period.subscription_id = closing.subscription_id
                      and period.number = closing.number)
                insert into {tables.Qualify(Table)} (tenant_id, subscription_id, number, starts_at, ends_at)
                select tenant_id, subscription_id, number + 1, ended_at, next_end from closing
                """,
                Sql.P([.. closed.Keys.Select(stream => stream.TenantId)]), Sql.P([.. closed.Keys.Select(stream => stream.Id)]),
                Sql.P([.. closed.Values.Select(it => it.Number)]), Sql.P([.. closed.Values.Select(it => it.End)]),
                Sql.P([.. closed.Values.Select(it => it.InvoiceId.Value)]), Sql.P([.. closed.Values.Select(it => it.NextEnd)]));
            closed.Clear();
        }
    }

    /// <summary>The tenant's subscriptions whose running period has ended, with that end, the first that ended first.</summary>
    /// <param name="afterGrace">Only those whose grace is over.</param>
    public static Answer<IReadOnlyList<(SubscriptionId Id, Instant End)>> Ended(
        RoundTrip together, TenantId tenant, Instant asOf, bool afterGrace) => together.Ask(ended, (tenant, asOf, afterGrace));

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
              and ends_at + {Grace} <= $1
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
