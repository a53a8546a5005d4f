using Npgsql;
using static Platform.EventStore.Tests.Some;

namespace Platform.EventStore.Tests;

public sealed class SecuritySpecs : IAsyncLifetime
{
    private static readonly string[] TenantTables = ["events", "outbox", "inbox", "idempotency_keys", "accounts"];

    private readonly StreamId ours = Account();
    private readonly StreamId theirs = Account();
    private World world = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        world = await World.Create();
        var process = world.Process();
        foreach (var account in (StreamId[])[ours, theirs])
        {
            await process.Store.Append(WriteTo(account, 0, Opened()).Publish(new AccountCredited(account.Id, 1)), Cancellation);
            await process.Keys.Claim(account.TenantId, "key", [1], Cancellation);
            await process.Store.Transact(account.TenantId, Cause.Unknown, (transaction, stopping) =>
                transaction.TryReceive("consumer", Guid.CreateVersion7(), stopping), Cancellation);
        }
    }

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task Every_table_with_a_tenant_has_row_level_security()
    {
        (await world.Ask<long>(
            $"""
            select count(*) from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
            where c.relnamespace = '{world.Schema}'::regnamespace and c.relkind = 'r' and not c.relrowsecurity
            """)).ShouldBe(0);
    }

    [Fact]
    public async Task Without_a_tenant_the_application_reads_nothing_and_the_system_everything()
    {
        foreach (var table in TenantTables)
        {
            (await world.Ask<long>($"select count(*) from ledger.{table}", World.App)).ShouldBe(0, table);
            (await world.Ask<long>($"select count(*) from ledger.{table}", World.System)).ShouldBe(2, table);
        }
    }

    [Fact]
    public async Task With_a_tenant_the_application_reads_that_tenant_alone()
    {
        foreach (var table in TenantTables)
            (await AsTenant(ours.TenantId, $"select count(*) from ledger.{table} where tenant_id = '{ours.TenantId}'")).ShouldBe(1L, table);
        foreach (var table in TenantTables)
            (await AsTenant(ours.TenantId, $"select count(*) from ledger.{table} where tenant_id = '{theirs.TenantId}'")).ShouldBe(0L, table);
    }

    [Fact]
    public async Task With_one_tenant_the_application_writes_nothing_for_another()
    {
        var refused = await Should.ThrowAsync<PostgresException>(AsTenant(
            ours.TenantId,
            $"insert into ledger.inbox (tenant_id, consumer, message_id) values ('{theirs.TenantId}', 'c', gen_random_uuid()) returning 1"));
        refused.SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);

        (await AsTenant(
            ours.TenantId,
            $"with taken as (update ledger.accounts set version = 0 where tenant_id = '{theirs.TenantId}' returning 1) select count(*) from taken"))
            .ShouldBe(0L);
    }

    [Theory]
    [InlineData(World.App)]
    [InlineData(World.System)]
    public async Task The_log_is_append_only_for_everyone_who_runs(string role)
    {
        foreach (var change in (string[])["update ledger.events set version = 9", "delete from ledger.events", "truncate ledger.events"])
        {
            (await Should.ThrowAsync<PostgresException>(world.Ask<int>(change, role)))
                .SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege, change);
        }
    }

    [Fact]
    public async Task Neither_role_owns_a_thing_or_may_rebuild_what_is_no_projection()
    {
        (await world.Ask<long>(
            $"""
            select count(*) from pg_class where relnamespace = '{world.Schema}'::regnamespace
                and pg_get_userbyid(relowner) in ('{World.App}', '{World.System}')
            """)).ShouldBe(0);
        (await Should.ThrowAsync<PostgresException>(world.Ask<object>("select ledger.begin_rebuild('accounts')", World.App)))
            .SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
        (await Should.ThrowAsync<PostgresException>(world.Ask<object>("select ledger.swap_rebuild('events')", World.System)))
            .SqlState.ShouldBe(PostgresErrorCodes.RaiseException);
    }

    private Task<object> AsTenant(Guid tenant, string sql) =>
        InTransaction(async connection =>
        {
            await using var show = new NpgsqlCommand($"select set_config('platform.tenants', '{{{tenant}}}', true)", connection);
            await show.ExecuteScalarAsync(Cancellation);
            await using var command = new NpgsqlCommand(sql.Replace("ledger.", $"{world.Schema}.", StringComparison.Ordinal), connection);
            return (await command.ExecuteScalarAsync(Cancellation))!;
        });

    private static async Task<object> InTransaction(Func<NpgsqlConnection, Task<object>> work)
    {
        await using var source = NpgsqlDataSource.Create(OneDatabase.Database.As(World.App));
        await using var connection = await source.OpenConnectionAsync(Cancellation);
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        return await work(connection);
    }
}
