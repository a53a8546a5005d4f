using System.Globalization;
using Npgsql;
using Platform.Billing.Tests.Http;

namespace Platform.Billing.Tests.Invoices;

/// <summary>How a close is broken off at a write.</summary>
internal enum FaultKind
{
    /// <summary>The write fails, and so does the transaction.</summary>
    Failure,

    /// <summary>The write and every later one of the tenant fail, also when it is tried again.</summary>
    LastingFailure,

    /// <summary>The database asks for another try.</summary>
    Conflict,

    /// <summary>The connection is lost.</summary>
    LostConnection,
}

/// <summary>
/// Breaks closes off at writes to the tables of the books, or at their commit. A step is a table, or <see cref="Commit"/>; its writes
/// are counted outside of the transactions that break off.
/// </summary>
internal sealed class CloseFaults(BillingHost billing)
{
    public const string Commit = "commit";

    // Every table that a close may write to, less what processes bring up to date by themselves meanwhile.
    private const string Installed =
        $$"""
        create table billing.fault (step text, at bigint not null, kind text not null, tenant_id uuid);
        grant select on billing.fault to public;
        create table billing.fault_steps (step text primary key, writes regclass not null);
        grant select on billing.fault_steps to public;
        create function billing.break_off() returns trigger language plpgsql as $$
        declare
            fault billing.fault;
            written text := case when tg_nargs = 1 then tg_argv[0] else tg_table_name end;
            write bigint;
        begin
            select * into fault from billing.fault;
            if fault.tenant_id is null or fault.tenant_id::text = to_jsonb(new) ->> 'tenant_id' then
                write := nextval((select writes from billing.fault_steps it where it.step = written));
                if fault.step = written and (write = fault.at or write > fault.at and fault.kind = 'LastingFailure') then
                    if fault.kind = 'LostConnection' then
                        perform pg_terminate_backend(pg_backend_pid());
                    else
                        raise exception 'broken off' using errcode = case fault.kind when 'Conflict' then '40001' else 'P0001' end;
                    end if;
                end if;
            end if;
            return new;
        end $$;
        do $$
        declare name text;
        begin
            for name in
                select tablename from pg_tables
                where schemaname = 'billing' and tablename not in ('migrations', 'fault', 'fault_steps', 'inbox', 'readers', 'idempotency_keys')
                  and (tablename not like 'usage%' or tablename = 'usage_trees')
                union select '{{Commit}}'
            loop
                execute format('create sequence billing.%I', 'writes_' || name);
                execute format('grant usage on sequence billing.%I to public', 'writes_' || name);
                insert into billing.fault_steps values (name, format('billing.%I', 'writes_' || name)::regclass);
                continue when name = '{{Commit}}';
                execute format(
                    'create trigger break_off before insert or update on billing.%I for each row execute function billing.break_off()', name);
            end loop;
            create constraint trigger break_off_commit after insert on billing.usage_trees
                deferrable initially deferred for each row execute function billing.break_off('{{Commit}}');
        end $$;
        """;

    public Task Install() => billing.Execute(Installed);

    /// <summary>Counts the writes of each step from here on, and breaks none off.</summary>
    public Task Count() => billing.Execute(
        "delete from billing.fault; select setval(writes, 1, false) from billing.fault_steps");

    /// <param name="at">Which of the step's writes, from 1; of this tenant's alone if one is named.</param>
    public Task Arm(string step, long at, FaultKind kind, Guid? tenant = null) => billing.Execute(
        $"""
        delete from billing.fault;
        select setval(writes, 1, false) from billing.fault_steps;
        insert into billing.fault
        values ('{step}', {at.ToString(CultureInfo.InvariantCulture)}, '{kind}', {(tenant is { } it ? $"'{it}'" : "null")})
        """);

    public Task Disarm() => billing.Execute("delete from billing.fault");

    /// <summary>How often each step was written since the last count or fault was set; steps that were not are left out.</summary>
    public async Task<IReadOnlyDictionary<string, long>> Writes()
    {
        var rows = await billing.Strings(
            """
            select step || ' ' || last_value from billing.fault_steps
            join pg_sequences on format('%I.%I', schemaname, sequencename)::regclass = writes
            where last_value is not null
            """);
        return rows.Select(row => row.Split(' ')).ToDictionary(row => row[0], row => long.Parse(row[1], CultureInfo.InvariantCulture));
    }

    /// <summary>Whether the error, or one that it holds, is a fault.</summary>
    public static bool BrokeOff(Exception error) => error switch
    {
        PostgresException { MessageText: "broken off" } => true,
        AggregateException several => several.InnerExceptions.All(BrokeOff),
        _ => false,
    };
}
