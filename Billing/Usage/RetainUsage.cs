using System.IO.Compression;
using System.Text;
using NodaTime;
using Npgsql;
using Platform.Billing.Tenants;

namespace Platform.Billing.Usage;

/// <param name="Raw">How long events stay in the log, at least as long as they may be reported late.</param>
/// <param name="Identity">How long the ledger knows an event again, at least as long as <paramref name="Raw"/>.</param>
/// <param name="Archive">The folder that events are written to before they are dropped; null drops them.</param>
public sealed record UsageRetention(Period Raw, Period Identity, string? Archive)
{
    public static UsageRetention From(IConfiguration configuration) => new(
        Period.FromMonths(configuration.GetValue("Usage:RawMonths", 13)),
        Period.FromMonths(configuration.GetValue("Usage:IdentityMonths", 13)),
        configuration["Usage:ArchiveDirectory"]);

    /// <summary>
    /// The first instants that are kept. Nothing can be reported any more for what is before them: a month that is gone gets
    /// no late event, and an event that is forgotten cannot be taken again.
    /// </summary>
    public (Instant Raw, Instant Identity) KeptFrom(Instant now, UsageLimits limits)
    {
        var reportable = now - limits.AgeMax;
        var raw = Instant.Min(Before(Raw), reportable);
        return (raw, Instant.Min(Before(Identity), raw));

        Instant Before(Period period) => (now.InUtc().LocalDateTime - period).InUtc().ToInstant();
    }
}

/// <summary>
/// Takes whole months (UTC) of raw events out of the ledger once they are older than the retention and no billing period that
/// touches them is open, and forgets identities that are older than theirs. Invoices, corrections and conflicts stay. Run as
/// the owner, for only the owner may; stopped half way, it goes on where it was.
/// </summary>
public static class RetainUsage
{
    private const string WithoutPartition =
        """
        select distinct 'usage_events_other', date_trunc('month', time at time zone 'UTC') at time zone 'UTC'
        from billing.usage_events_other order by 2
        """;

    private const string WithPartition =
        """
        select relname::text, (to_date(right(relname, 6), 'YYYYMM') + interval '1 month') at time zone 'UTC'
        from pg_inherits join pg_class on oid = inhrelid
        where inhparent = 'billing.usage_events'::regclass and relname ~ '^usage_events_[0-9]{6}$'
        order by relname
        """;

    /// <returns>A line on each thing that was done or left.</returns>
    public static async Task<IReadOnlyList<string>> Run(
        string ownerConnection, UsageRetention retention, UsageLimits limits, Instant now, CancellationToken cancellation)
    {
        var (raw, identity) = retention.KeptFrom(now, limits);
        var report = new List<string>();
        await using var connection = new NpgsqlConnection(ownerConnection);
        await connection.OpenAsync(cancellation);

        // Months that have no partition yet get one, so that there is one way to leave.
        foreach (var (_, month) in await Months(connection, WithoutPartition, cancellation))
            await Execute(connection, "select billing.make_usage_months($1, $1)", cancellation, Sql.P(month));
        foreach (var (table, end) in await Months(connection, WithPartition, cancellation))
        {
            if (end > raw)
                continue;
            if (await HasOpenPeriod(connection, end, cancellation))
                report.Add($"{table}: kept, a billing period that touches it is open");
            else
                report.Add($"{table}: {await Remove(connection, table, end, retention.Archive, cancellation)}");
        }

        var forgotten = await Execute(
            connection, "delete from billing.usage_identities where time < $1", cancellation, Sql.P(identity));
        report.Add($"{forgotten} identities forgotten");
        return report;
    }

    private static async Task<IReadOnlyList<(string Table, Instant At)>> Months(
        NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = connection.Command(sql);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var months = new List<(string, Instant)>();
        while (await reader.ReadAsync(cancellation))
            months.Add((reader.GetString(0), reader.Instant(1)));
        return months;
    }

    private static async Task<bool> HasOpenPeriod(NpgsqlConnection connection, Instant end, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            $"select exists (select from billing.billing_periods where invoice_id is null and starts_at < $1 and {TenantView.IsLive})", Sql.P(end));
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    // What is written is complete and on the disk before anything is dropped. Writers of the month wait meanwhile; there are none.
    private static async Task<string> Remove(
        NpgsqlConnection connection, string table, Instant end, string? archive, CancellationToken cancellation)
    {
        const string kept = "kept, it is not rolled up yet";
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await Execute(connection, $"lock table billing.{table} in share mode", cancellation);
        if (await IsBehind(connection, "usage_entries", end, cancellation))
            return kept;
        var done = archive is null ? "dropped" : await Write(connection, table, archive, cancellation);

        // Who corrects reads the log first and then writes: taken in this order, neither waits for the other in a ring. From here on
        // the month cannot change.
        await Execute(connection, "lock table billing.usage_events in access exclusive mode", cancellation);
        await Execute(connection, "lock table billing.usage_corrections in share mode", cancellation);
        if (await IsBehind(connection, "usage_corrections", end, cancellation))
            return kept;
        await Execute(
            connection,
            """
            insert into billing.usage_gone_months (month, position)
            select date_trunc('month', $1 - interval '1 day', 'UTC'), last_value + 1023 from billing.usage_events_position_seq
            on conflict (month) do update set position = excluded.position
            """,
            cancellation, Sql.P(end));
        await Execute(connection, $"drop table billing.{table}", cancellation);
        // Invoices keep the roots of what they count, and nothing comes late to this month any more.
        await Execute(connection, "delete from billing.usage_seals where hour < $1", cancellation, Sql.P(end));
        await transaction.CommitAsync(cancellation);
        return done;
    }

    private static async Task<bool> IsBehind(
        NpgsqlConnection connection, string entries, Instant end, CancellationToken cancellation)
    {
        await using var command = connection.Command(
            $"""
            select exists (
                select from billing.{entries} entry
                left join billing.usage_rollup_marks mark using (tenant_id, type)
                where entry.time >= date_trunc('month', $1 - interval '1 day', 'UTC') and entry.time < $1
                  and entry.position > coalesce(mark.position, 0))
            """,
            Sql.P(end));
        command.CommandTimeout = 0;
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static async Task<string> Write(
        NpgsqlConnection connection, string table, string archive, CancellationToken cancellation)
    {
        // Named by what is in it: a try after a crash writes the same file again, a later one of the same month another.
        await using var first = connection.Command($"select coalesce(min(position), 0) from billing.{table}");
        var file = Path.Combine(archive, $"{table}.{await first.ExecuteScalarAsync(cancellation)}.ndjson.gz");
        Directory.CreateDirectory(archive);
        var events = 0L;
        await using (var written = new FileStream($"{file}.part", FileMode.Create, FileAccess.Write))
        {
            await using (var compressed = new GZipStream(written, CompressionLevel.Optimal, leaveOpen: true))
            await using (var lines = new StreamWriter(compressed, new UTF8Encoding(false)) { NewLine = "\n" })
            await using (var command = connection.Command($"select to_jsonb(event)::text from billing.{table} event order by tenant_id, position"))
            {
                command.CommandTimeout = 0;
                await using var reader = await command.ExecuteReaderAsync(cancellation);
                for (; await reader.ReadAsync(cancellation); events++)
                    await lines.WriteLineAsync(reader.GetString(0).AsMemory(), cancellation);
            }

            written.Flush(flushToDisk: true);
        }

        File.Move($"{file}.part", file, overwrite: true);
        return $"{events} events archived to {Path.GetFileName(file)}";
    }

    private static async Task<int> Execute(
        NpgsqlConnection connection, string sql, CancellationToken cancellation, params NpgsqlParameter[] parameters)
    {
        await using var command = connection.Command(sql, parameters);
        command.CommandTimeout = 0;
        return await command.ExecuteNonQueryAsync(cancellation);
    }
}
