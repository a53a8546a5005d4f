using Npgsql;
using Platform.EventStore;
using Platform.Scheduler.Dispatch;
using Platform.Scheduler.Fleet;
using Platform.Testing;

namespace Platform.Scheduler.Tests.Running;

/// <summary>A migrated database without a process on it.</summary>
public sealed class MigratedDatabase : IAsyncLifetime
{
    public TestDatabase Database { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Database = await TestDatabase.Create("scheduler_app", "scheduler_system");
        await Migrations.Run(
            Database.Owner, "scheduler", "scheduler_app", "scheduler_system", typeof(Program).Assembly, CancellationToken.None);
    }

    public ValueTask DisposeAsync() => Database.DisposeAsync();

    public async Task<NpgsqlConnection> Open(string role)
    {
        await using var database = new SystemDatabase(Database.As(role));
        return await database.OpenUnpooled(TestContext.Current.CancellationToken);
    }
}

public sealed class LeadershipSpecs(MigratedDatabase migrated) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_instance_leads_and_a_former_leader_can_commit_nothing_more()
    {
        await using var first = await migrated.Open("scheduler_system");
        var former = (await Leadership.TryTake(first, Cancellation)).ShouldNotBeNull();
        await using (var rival = await migrated.Open("scheduler_system"))
            (await Leadership.TryTake(rival, Cancellation)).ShouldBeNull("the first one leads");
        (await MayCommit(former)).ShouldBeTrue();

        await first.CloseAsync();       // its connection is gone; it may not have noticed
        await using var second = await migrated.Open("scheduler_system");
        var present = (await Leadership.TryTake(second, Cancellation)).ShouldNotBeNull();

        present.Term.ShouldBeGreaterThan(former.Term);
        (await MayCommit(present)).ShouldBeTrue();
        (await MayCommit(former)).ShouldBeFalse();
    }

    [Fact]
    public async Task A_new_leader_begins_only_after_the_commits_of_the_former_one()
    {
        await using var first = await migrated.Open("scheduler_system");
        var former = (await Leadership.TryTake(first, Cancellation)).ShouldNotBeNull();
        await using var committing = await migrated.Open("scheduler_app");
        await using var transaction = await committing.BeginTransactionAsync(Cancellation);
        await former.Fence(committing, Cancellation);

        await first.CloseAsync();
        await using var second = await migrated.Open("scheduler_system");
        var taking = Leadership.TryTake(second, Cancellation);
        await Clock.Wait(0.3);
        taking.IsCompleted.ShouldBeFalse("the former leader's commit is under way");

        await transaction.CommitAsync(Cancellation);
        (await taking).ShouldNotBeNull();
    }

    private async Task<bool> MayCommit(Leadership leadership)
    {
        await using var connection = await migrated.Open("scheduler_app");
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        try
        {
            await leadership.Fence(connection, Cancellation);
            return true;
        }
        catch (LeadershipLostException)
        {
            return false;
        }
    }
}

public sealed class RowSecuritySpecs(MigratedDatabase migrated) : IClassFixture<MigratedDatabase>
{
    [Fact]
    public async Task Every_table_with_a_tenant_is_secured_by_row()
    {
        var unsecured = await Query(
            migrated.Database.Owner,
            """
            select c.table_name from information_schema.columns c join pg_class t on t.oid = format('scheduler.%I', c.table_name)::regclass
            where c.table_schema = 'scheduler' and c.column_name = 'tenant_id' and not t.relrowsecurity
            """);

        unsecured.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("scheduler_app", "select tenant_id::text from scheduler.api_keys")]
    [InlineData("scheduler_app", "select tenant_id::text from scheduler.tenants")]
    [InlineData("scheduler_app", "select worker_id::text from scheduler.worker_heartbeats")]
    [InlineData("scheduler_app", "update scheduler.placement_terms set term = 1")]
    [InlineData("scheduler_app", "select job_name from quartz.qrtz_job_details")]
    [InlineData("scheduler_system", "create table scheduler.loot (id int)")]
    [InlineData("scheduler_system", "create table quartz.loot (id int)")]
    [InlineData("scheduler_system", "drop table scheduler.job_views")]
    public async Task A_role_may_do_only_what_it_needs(string role, string sql) =>
        (await Should.ThrowAsync<PostgresException>(() => Query(migrated.Database.As(role), sql)))
            .SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);

    [Theory]
    [InlineData("job_views")]
    [InlineData("worker_views")]
    [InlineData("job_progress")]
    public async Task A_query_without_a_tenant_sees_nothing(string table)
    {
        await Query(
            migrated.Database.As("scheduler_system"),
            $"insert into scheduler.{table} (tenant_id, id, version, data) values (gen_random_uuid(), gen_random_uuid(), 1, '{{}}')");

        (await Query(migrated.Database.As("scheduler_app"), $"select id::text from scheduler.{table}")).ShouldBeEmpty();
        (await Query(migrated.Database.As("scheduler_system"), $"select id::text from scheduler.{table}")).ShouldHaveSingleItem();
    }

    private static async Task<List<string>> Query(string connection, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        var rows = new List<string>();
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            rows.Add(reader.GetString(0));
        return rows;
    }
}
