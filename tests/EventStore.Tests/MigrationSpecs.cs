using Npgsql;

namespace Platform.EventStore.Tests;

public sealed class MigrationSpecs : IAsyncLifetime
{
    private World world = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => world = await World.Create();

    public ValueTask DisposeAsync() => world.DisposeAsync();

    [Fact]
    public async Task Each_file_runs_once_in_the_order_of_its_number()
    {
        await Migrate(world.Schema);

        (await world.Ask<string>("select string_agg(source || ' ' || number || ' ' || name, ', ' order by run_at) from ledger.migrations"))
            .ShouldBe("Platform.EventStore 1 event_store, Platform.EventStore.Tests 1 ledger");
    }

    [Fact]
    public async Task A_file_that_changed_after_it_ran_is_refused_by_name()
    {
        await world.Ask<long>(
            "with edited as (update ledger.migrations set sha256 = 'other' where name = 'ledger' returning 1) select count(*) from edited");

        (await Should.ThrowAsync<InvalidOperationException>(Migrate(world.Schema))).Message.ShouldContain("ledger changed after it ran");
    }

    [Fact]
    public async Task Four_migrators_at_once_do_the_work_of_one()
    {
        var schema = $"ledger_{Guid.CreateVersion7():n}";

        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Migrate(schema))));

        (await world.Ask<long>($"select count(*) from {schema}.migrations")).ShouldBe(2);
    }

    [Fact]
    public async Task A_name_that_is_not_plain_never_reaches_the_database() =>
        await Should.ThrowAsync<ArgumentException>(Migrate("ledger; drop schema public"));

    [Fact]
    public async Task The_application_may_not_migrate()
    {
        (await Should.ThrowAsync<PostgresException>(Migrations.Run(
            OneDatabase.Database.As(World.App), "other", World.App, World.System, assembly: null, Cancellation)))
            .SqlState.ShouldBe(PostgresErrorCodes.InsufficientPrivilege);
    }

    private static Task Migrate(string schema) =>
        Migrations.Run(World.Owner, schema, World.App, World.System, typeof(World).Assembly, Cancellation);
}
