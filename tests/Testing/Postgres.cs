using Npgsql;

namespace Platform.Testing;

/// <summary>
/// A database of its own for one test class, on the server that <c>PLATFORM_POSTGRES</c> names (a superuser's connection,
/// set by <c>ops/test</c>). There is no fallback: without the server the tests fail.
/// </summary>
public sealed class TestDatabase : IAsyncDisposable
{
    private readonly string admin;

    private TestDatabase(string admin, string name)
    {
        this.admin = admin;
        Name = name;
    }

    public string Name { get; }

    /// <summary>Connects as a superuser, who plays the owner of the schemas.</summary>
    public string Owner => ConnectionAs(admin, username: null);

    /// <summary>Connects as a role made by <see cref="Role"/>.</summary>
    public string As(string role) => ConnectionAs(admin, role);

    public static async Task<TestDatabase> Create(params IReadOnlyList<string> roles)
    {
        var admin = Environment.GetEnvironmentVariable("PLATFORM_POSTGRES")
            ?? throw new InvalidOperationException("PLATFORM_POSTGRES is not set; run ops/test, or eval \"$(ops/servers env)\".");
        var database = new TestDatabase(admin, $"test_{Guid.CreateVersion7():n}");

        await using var source = NpgsqlDataSource.Create(admin);
        foreach (var role in roles)
            await database.Role(source, role);
        await using var create = source.CreateCommand($"create database {database.Name}");
        await create.ExecuteNonQueryAsync();
        return database;
    }

    public async ValueTask DisposeAsync()
    {
        NpgsqlConnection.ClearAllPools();
        await using var source = NpgsqlDataSource.Create(admin);
        await using var drop = source.CreateCommand($"drop database if exists {Name} with (force)");
        await drop.ExecuteNonQueryAsync();
    }

    // Roles belong to the server, not to the database; tests that run at once may create the same one.
    private async Task Role(NpgsqlDataSource source, string role)
    {
        var password = new NpgsqlConnectionStringBuilder(admin).Password;
        await using var create = source.CreateCommand(
            $"""
            do $$ begin
                perform pg_advisory_xact_lock(4711);
                if not exists (select from pg_roles where rolname = '{role}') then
                    create role {role} login password '{password}';
                end if;
            end $$
            """);
        await create.ExecuteNonQueryAsync();
    }

    private string ConnectionAs(string connection, string? username)
    {
        var builder = new NpgsqlConnectionStringBuilder(connection) { Database = Name, MaxPoolSize = 40, IncludeErrorDetail = true };
        if (username is not null)
            builder.Username = username;
        return builder.ConnectionString;
    }
}
